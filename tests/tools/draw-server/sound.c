/* Part sound: both directions for a second. */
#include "draw-server.h"

static const SpicePlaybackInterface playback_interface = {
    .base = { SPICE_INTERFACE_PLAYBACK, "playback", SPICE_INTERFACE_PLAYBACK_MAJOR, SPICE_INTERFACE_PLAYBACK_MINOR } };
static const SpiceRecordInterface record_interface = {
    .base = { SPICE_INTERFACE_RECORD, "record", SPICE_INTERFACE_RECORD_MAJOR, SPICE_INTERFACE_RECORD_MINOR } };
static SpicePlaybackInstance playback = { .base.sif = &playback_interface.base };
static SpiceRecordInstance record = { .base.sif = &record_interface.base };
static uint16_t volume[2] = { 40000, 30000 };

static void sound_start(void)
{
    spice_server_playback_set_volume(&playback, 2, volume);
    spice_server_playback_set_mute(&playback, 1);
    spice_server_playback_set_mute(&playback, 0);
    spice_server_playback_start(&playback);
    spice_server_record_set_volume(&record, 2, volume);
    spice_server_record_set_mute(&record, 0);
    spice_server_record_start(&record);
}

static void sound_play(void)
{
    uint32_t *samples, count, taken[480];
    spice_server_playback_get_buffer(&playback, &samples, &count);
    if (samples) {
        for (uint32_t i = 0; i < count; i++)
            samples[i] = (i % 96 < 48 ? 0x10001000u : 0xF000F000u);
        spice_server_playback_put_samples(&playback, samples);
    }
    spice_server_record_get_samples(&record, taken, G_N_ELEMENTS(taken));
}

static void sound_stop(void)
{
    spice_server_playback_stop(&playback);
    spice_server_record_stop(&record);
}

Step sound_steps[] = { sound_start, TEN(sound_play), TEN(sound_play), TEN(sound_play), TEN(sound_play), sound_stop, NULL };

void add_sound(void)
{
    add(&playback.base);
    add(&record.base);
}
