//! `How it is sent`.

use std::path::PathBuf;

use clap::Args;
use sumac::config::{
    Config, EncoderName, ImageCompression, StreamingVideo, VideoCodecs, WanCompression, parse_encoder,
};

use super::values::on_off;

#[derive(Args)]
#[command(next_help_heading = "How it is sent")]
pub(super) struct PictureArgs {
    /// off, auto_glz, auto_lz, quic, glz, lz, lz4 [default: auto_glz].
    #[arg(long, value_name = "WORD")]
    image_compression: Option<ImageCompression>,
    /// When pictures are sent as JPEG first, and exactly when they rest: auto, always, never
    /// [default: auto, on slow links].
    #[arg(long, value_name = "WORD")]
    jpeg_wan_compression: Option<WanCompression>,
    /// When GLZ pictures are deflated: auto, always, never [default: auto, on slow links].
    #[arg(long, value_name = "WORD")]
    zlib_glz_wan_compression: Option<WanCompression>,
    /// Which regions become video: off, all, filter [default: filter].
    #[arg(long, value_name = "WORD")]
    streaming_video: Option<StreamingVideo>,
    /// Codecs, the most wanted first: h264,mjpeg or gstreamer:h264;spice:mjpeg [default: all].
    #[arg(long, value_name = "LIST")]
    video_codecs: Option<VideoCodecs>,
    /// Which backends may encode a codec, such as vaapi:h264,software:mjpeg [default: any, devices first].
    #[arg(long, value_name = "BACKEND:CODEC,…", value_delimiter = ',', value_parser = parse_encoder)]
    encoder: Vec<EncoderName>,
    /// The only graphics device to encode on, such as /dev/dri/renderD128 [default: any].
    #[arg(long, value_name = "PATH")]
    rendernode: Option<PathBuf>,
    /// Whether sound is sent as Opus to viewers that can [default: on].
    #[arg(long, value_name = "on|off", value_parser = on_off)]
    playback_compression: Option<bool>,
}

impl PictureArgs {
    pub(super) fn apply(self, config: &mut Config) {
        config.image_compression = self.image_compression.unwrap_or(config.image_compression);
        config.playback_compression = self.playback_compression.unwrap_or(config.playback_compression);
        config.jpeg_wan_compression = self.jpeg_wan_compression.unwrap_or(config.jpeg_wan_compression);
        config.zlib_glz_wan_compression = self.zlib_glz_wan_compression.unwrap_or(config.zlib_glz_wan_compression);
        config.streaming_video = self.streaming_video.unwrap_or(config.streaming_video);
        if let Some(codecs) = self.video_codecs {
            config.video_codecs = codecs;
        }
        config.encoders = self.encoder;
        config.rendernode = self.rendernode.or(config.rendernode.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{assert_error, config};

    #[test]
    fn who_encodes_it() {
        let config_of = |line: &str| {
            let config = config(line);
            let names = config.encoders.iter().map(|name| format!("{}:{}", name.backend, name.codec));
            (names.collect::<Vec<_>>().join(" "), config.rendernode)
        };
        let some = |node: &str| Some(PathBuf::from(node));
        assert_eq!(config_of("sumac"), (String::new(), None));
        assert_eq!(
            config_of("sumac --encoder vaapi:h264,software:mjpeg --rendernode /dev/dri/renderD129"),
            ("vaapi:h264 software:mjpeg".into(), some("/dev/dri/renderD129"))
        );
        assert_eq!(config_of("sumac --spice gl=on,rendernode=a"), (String::new(), some("a")));
        assert_eq!(config_of("sumac --spice rendernode=a --rendernode b").1, some("b"));
    }

    #[test]
    fn usage_errors_name_the_thing() {
        for (line, expected) in [
            ("sumac --video-codecs av2", "error: invalid value 'av2' for '--video-codecs <LIST>': 'av2' is not a"),
            (
                "sumac --encoder nvenc:h264",
                "error: invalid value 'nvenc:h264' for '--encoder <BACKEND:CODEC,…>': 'nvenc:h264'",
            ),
            ("sumac --image-compression zip", "error: invalid value 'zip' for '--image-compression <WORD>': 'zip'"),
        ] {
            assert_error(line, expected);
        }
    }
}
