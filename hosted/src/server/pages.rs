//! What there is to read over HTTP at `--metrics`.

use tokio::net::TcpListener;

use super::Engine;
use crate::config::Config;
use crate::metrics::{self, Answer, Status};
use crate::stats::Memory;
use crate::transport::ListenError;

/// Opens what `--metrics` names.
pub(super) async fn open_metrics(config: &Config) -> Result<Option<TcpListener>, ListenError> {
    let Some(at) = config.metrics else { return Ok(None) };
    let opened = TcpListener::bind(at).await;
    opened.map(Some).map_err(|source| ListenError::Open { at: at.to_string(), source })
}

/// What there is to read over HTTP.
pub(super) fn answer(engine: &Engine, path: &str) -> Answer {
    let (status, body) = match path {
        "/metrics" => (Status::Ok, metrics::page(engine.displays().ledger(), &Memory::now())),
        "/healthz" if engine.displays().first_shown().is_some() => (Status::Ok, "ok\n".into()),
        "/healthz" => (Status::Unavailable, "the source shows no picture\n".into()),
        _ => (Status::NotFound, "there are /metrics and /healthz\n".into()),
    };
    Answer { status, body }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::source::Host;

    #[tokio::test]
    async fn a_server_whose_source_shows_nothing_is_not_well_and_says_why() {
        let engine = testing::engine(Config::default());
        let health = answer(&engine, "/healthz");
        assert_eq!((health.status, health.body.as_str()), (Status::Unavailable, "the source shows no picture\n"));
        let mut stage = engine.displays().host().display(0).unwrap();
        let layout = sumac_backends::Layout { width: 1, height: 1, stride: 4 };
        let frame = sumac_backends::Frame::from_memory(layout, [0; 4]).unwrap();
        stage.publish(frame, &[crate::source::Rect { x: 0, y: 0, width: 1, height: 1 }]);
        engine.take_mail();
        assert_eq!(answer(&engine, "/healthz"), Answer { status: Status::Ok, body: "ok\n".into() });
        assert!(answer(&engine, "/metrics").body.contains("\nsumac_pictures_published_total 1\n"));
        assert_eq!(answer(&engine, "/").status, Status::NotFound);
    }
}
