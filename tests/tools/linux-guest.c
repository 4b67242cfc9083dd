/* The first and only process of a Linux guest for tests: it tells on the first serial port what
 * evdev says, and what it records.
 *
 * At its start it loads the modules in /modules/now, in the order of their names, and those in
 * /modules/later when F5 goes down. F6 makes it record four seconds. Lines, in decimal:
 *     ready
 *     device DEVICE                   a new one is listened to
 *     event DEVICE TYPE CODE VALUE    as linux/input-event-codes.h has them
 *     sound HZ PEAK                   a second of the left channel
 *     error WHAT ERRNO
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <sound/asound.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DEVICES = 16, RATE = 44100, SECONDS = 4, PIECE = RATE / 10 };

static void complain(const char *what) { printf("error %s %d\n", what, errno); }

static void load(const char *folder) {
    struct dirent **names;
    int count = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[300];
        if (names[i]->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (syscall(SYS_finit_module, file, "", 0) < 0) complain(path);
        close(file);
    }
}

static void set(struct snd_pcm_hw_params *params, int name, unsigned value) {
    struct snd_interval *it = &params->intervals[name - SNDRV_PCM_HW_PARAM_FIRST_INTERVAL];
    it->min = it->max = value;
    it->integer = 1;
}

static void choose(struct snd_pcm_hw_params *params, int name, unsigned bit) {
    struct snd_mask *it = &params->masks[name - SNDRV_PCM_HW_PARAM_FIRST_MASK];
    memset(it, 0, sizeof *it);
    it->bits[bit / 32] = 1u << bit % 32;
}

static int open_capture(void) {
    struct snd_pcm_hw_params params;
    int pcm = open("/dev/snd/pcmC0D0c", O_RDONLY | O_CLOEXEC);
    if (pcm < 0) return -1;
    memset(&params, 0, sizeof params);
    memset(params.masks, 0xff, sizeof params.masks);
    for (unsigned i = 0; i < sizeof params.intervals / sizeof params.intervals[0]; i++) {
        params.intervals[i].max = ~0u;
    }
    params.rmask = ~0u;
    params.info = ~0u;
    choose(&params, SNDRV_PCM_HW_PARAM_ACCESS, SNDRV_PCM_ACCESS_RW_INTERLEAVED);
    choose(&params, SNDRV_PCM_HW_PARAM_FORMAT, SNDRV_PCM_FORMAT_S16_LE);
    set(&params, SNDRV_PCM_HW_PARAM_CHANNELS, 2);
    set(&params, SNDRV_PCM_HW_PARAM_RATE, RATE);
    set(&params, SNDRV_PCM_HW_PARAM_PERIOD_SIZE, 2048);
    set(&params, SNDRV_PCM_HW_PARAM_PERIODS, 4);
    return ioctl(pcm, SNDRV_PCM_IOCTL_HW_PARAMS, &params) < 0 ? -1 : pcm;
}

/* Fills the buffer; what an overrun loses is lost. */
static int record(int pcm, short *frames, unsigned count) {
    for (unsigned done = 0; done < count;) {
        struct snd_xferi piece = {0, frames + done * 2, count - done < PIECE ? count - done : PIECE};
        if (ioctl(pcm, SNDRV_PCM_IOCTL_READI_FRAMES, &piece) < 0) {
            if (errno != EPIPE || ioctl(pcm, SNDRV_PCM_IOCTL_PREPARE) < 0) return -1;
            continue;
        }
        done += piece.result;
    }
    return 0;
}

static void listen_to_it(void) {
    static short frames[RATE * 2];
    int pcm = open_capture();
    if (pcm < 0 || ioctl(pcm, SNDRV_PCM_IOCTL_PREPARE) < 0) {
        complain("capture");
        return;
    }
    for (int second = 0; second < SECONDS; second++) {
        unsigned rising = 0, peak = 0;
        if (record(pcm, frames, RATE) < 0) {
            complain("recording");
            return;
        }
        for (unsigned i = 0; i < RATE; i++) {
            int now = frames[i * 2], before = i ? frames[i * 2 - 2] : 0;
            rising += before < 0 && now >= 0;
            if ((unsigned)abs(now) > peak) peak = abs(now);
        }
        printf("sound %u %u\n", rising, peak);
    }
}

static void on_key(int code) {
    if (code == KEY_F5) {
        load("/modules/later");
    }
    if (code == KEY_F6 && fork() == 0) {
        listen_to_it();
        _exit(0);
    }
}

int main(void) {
    struct pollfd devices[DEVICES];
    mount("none", "/dev", "devtmpfs", 0, "");
    freopen("/dev/ttyS0", "w", stdout);
    setvbuf(stdout, NULL, _IOLBF, 0);
    load("/modules/now");
    for (int i = 0; i < DEVICES; i++) devices[i] = (struct pollfd){-1, POLLIN, 0};
    printf("ready\n");
    for (;;) {
        for (int i = 0; i < DEVICES; i++) {
            char path[32];
            snprintf(path, sizeof path, "/dev/input/event%d", i);
            if (devices[i].fd >= 0) continue;
            devices[i].fd = open(path, O_RDONLY | O_CLOEXEC);
            if (devices[i].fd >= 0) printf("device %d\n", i);
        }
        /* New devices are looked for now and then. */
        if (poll(devices, DEVICES, 100) <= 0) continue;
        for (int i = 0; i < DEVICES; i++) {
            struct input_event it;
            if (!(devices[i].revents & POLLIN) || read(devices[i].fd, &it, sizeof it) != sizeof it) continue;
            if (it.type == EV_KEY || it.type == EV_REL || it.type == EV_ABS) {
                printf("event %d %d %d %d\n", i, it.type, it.code, it.value);
            }
            if (it.type == EV_KEY && it.value == 1) on_key(it.code);
        }
    }
}
