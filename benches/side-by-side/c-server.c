/*
 * The C server of the side-by-side benches: the smallest application of libspice-server that shows the
 * pictures of a file of BGRX rows: the first one, or all of them over and over as a film.
 *
 *   c-server ADDRESS PORT FILE WIDTH HEIGHT [PICTURES-A-SECOND STREAMING CODECS [COMPRESSION]]
 *
 * COMPRESSION is auto_glz (also without it), quic or lz4; STREAMING is off, all or filter; CODECS is what spice_server_set_video_codecs takes, such as
 * "spice:mjpeg". A film's pictures carry the stamp that `sumac --source frames --stamp` writes, and
 * are offered on a fixed schedule by a thread named "source"; one that finds no free place is left
 * out. What is drawn is the stamp and the box around all that changed, as a guest would. Prints
 * "ready" when it listens; ends on SIGTERM, or by itself after two minutes.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <glib.h>
#include <spice.h>

struct SpiceTimer { SpiceTimerFunc func; void *opaque; guint source; };
struct SpiceWatch { GIOChannel *io; SpiceWatchFunc func; void *opaque; guint source; };

static SpiceTimer *timer_add(SpiceTimerFunc func, void *opaque)
{
    SpiceTimer *timer = g_new0(SpiceTimer, 1);
    timer->func = func;
    timer->opaque = opaque;
    return timer;
}

static gboolean timer_fires(gpointer data)
{
    SpiceTimer *timer = data;
    timer->source = 0;
    timer->func(timer->opaque);
    return FALSE;
}

static void timer_cancel(SpiceTimer *timer)
{
    if (timer->source)
        g_source_remove(timer->source);
    timer->source = 0;
}

static void timer_start(SpiceTimer *timer, uint32_t ms)
{
    timer_cancel(timer);
    timer->source = g_timeout_add(ms, timer_fires, timer);
}

static void timer_remove(SpiceTimer *timer)
{
    timer_cancel(timer);
    g_free(timer);
}

static gboolean watch_fires(GIOChannel *io, GIOCondition condition, gpointer data)
{
    SpiceWatch *watch = data;
    int events = 0;
    if (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR))
        events |= SPICE_WATCH_EVENT_READ;
    if (condition & G_IO_OUT)
        events |= SPICE_WATCH_EVENT_WRITE;
    watch->func(g_io_channel_unix_get_fd(io), events, watch->opaque); /* may free the watch */
    return TRUE;
}

static void watch_update(SpiceWatch *watch, int mask)
{
    GIOCondition condition = 0;
    if (watch->source)
        g_source_remove(watch->source);
    watch->source = 0;
    if (mask & SPICE_WATCH_EVENT_READ)
        condition |= G_IO_IN | G_IO_HUP | G_IO_ERR;
    if (mask & SPICE_WATCH_EVENT_WRITE)
        condition |= G_IO_OUT;
    if (condition)
        watch->source = g_io_add_watch(watch->io, condition, watch_fires, watch);
}

static SpiceWatch *watch_add(int fd, int mask, SpiceWatchFunc func, void *opaque)
{
    SpiceWatch *watch = g_new0(SpiceWatch, 1);
    watch->io = g_io_channel_unix_new(fd);
    watch->func = func;
    watch->opaque = opaque;
    watch_update(watch, mask);
    return watch;
}

static void watch_remove(SpiceWatch *watch)
{
    watch_update(watch, 0);
    g_io_channel_unref(watch->io);
    g_free(watch);
}

static void channel_event(int event, SpiceChannelEventInfo *info) { }

static SpiceCoreInterface core = {
    .base = { SPICE_INTERFACE_CORE, "bench", SPICE_INTERFACE_CORE_MAJOR, SPICE_INTERFACE_CORE_MINOR },
    .timer_add = timer_add, .timer_start = timer_start, .timer_cancel = timer_cancel, .timer_remove = timer_remove,
    .watch_add = watch_add, .watch_update_mask = watch_update, .watch_remove = watch_remove,
    .channel_event = channel_event,
};

/* Drawings that the server may hold at once: it keeps those that are still visible. */
enum { PLACES = 512 };

/* A picture and the command that draws it. */
static struct place {
    QXLDrawable drawable;
    QXLImage image;
    char *pixels;
    gboolean taken;
} places[PLACES];

/* Guards which places are taken, and those drawn but not yet fetched. */
static GMutex lock;
static GQueue drawn = G_QUEUE_INIT;
static int width, height;

static void attached(QXLInstance *qxl) { }
static void set_level(QXLInstance *qxl, int level) { }
static void set_mm_time(QXLInstance *qxl, uint32_t time) { }

static void get_init_info(QXLInstance *qxl, QXLDevInitInfo *info)
{
    memset(info, 0, sizeof *info);
    info->num_memslots = info->num_memslots_groups = 1;
    info->memslot_id_bits = info->memslot_gen_bits = 1;
    info->n_surfaces = 1;
}

static int get_command(QXLInstance *qxl, QXLCommandExt *command)
{
    g_mutex_lock(&lock);
    struct place *place = g_queue_pop_head(&drawn);
    g_mutex_unlock(&lock);
    if (!place)
        return 0;
    memset(command, 0, sizeof *command);
    command->cmd.type = QXL_CMD_DRAW;
    command->cmd.data = (uintptr_t)&place->drawable;
    return 1;
}

static void release_resource(QXLInstance *qxl, struct QXLReleaseInfoExt info)
{
    struct place *place = &places[info.info->id];
    free(place->pixels);
    g_mutex_lock(&lock);
    place->taken = FALSE;
    g_mutex_unlock(&lock);
}

static int req_notification(QXLInstance *qxl) { return 1; }
static int get_cursor(QXLInstance *qxl, QXLCommandExt *command) { return 0; }
static void notify_update(QXLInstance *qxl, uint32_t id) { }
static int flush_resources(QXLInstance *qxl) { return 0; }
static void async_complete(QXLInstance *qxl, uint64_t cookie) { }
static void update_area_complete(QXLInstance *qxl, uint32_t surface, QXLRect *rects, uint32_t count) { }
static void set_capabilities(QXLInstance *qxl, uint8_t present, uint8_t caps[58]) { }
static int monitors_config(QXLInstance *qxl, VDAgentMonitorsConfig *config) { return 0; }

static QXLInterface display = {
    .base = { SPICE_INTERFACE_QXL, "bench", SPICE_INTERFACE_QXL_MAJOR, SPICE_INTERFACE_QXL_MINOR },
    .attached_worker = attached, .set_compression_level = set_level, .set_mm_time = set_mm_time,
    .get_init_info = get_init_info, .get_command = get_command, .req_cmd_notification = req_notification,
    .release_resource = release_resource, .get_cursor_command = get_cursor,
    .req_cursor_notification = req_notification, .notify_update = notify_update,
    .flush_resources = flush_resources, .async_complete = async_complete,
    .update_area_complete = update_area_complete, .set_client_capabilities = set_capabilities,
    .client_monitors_config = monitors_config,
};
static QXLInstance qxl = { .base = { &display.base }, .id = 0 };

static void create_surface(void)
{
    QXLDevMemSlot slot = { .virt_end = ~0ul };
    QXLDevSurfaceCreate surface = {
        .format = SPICE_SURFACE_FMT_32_xRGB, .width = width, .height = height, .stride = -width * 4,
        .mem = (uintptr_t)calloc((size_t)width * height, 4), .mouse_mode = 1,
    };
    spice_qxl_add_memslot(&qxl, &slot);
    spice_qxl_create_primary_surface(&qxl, 0, &surface);
}

/* A place for the next picture, or NULL when the server still holds all of them. */
static struct place *free_place(void)
{
    struct place *found = NULL;
    g_mutex_lock(&lock);
    for (int n = 0; n < PLACES && !found; n++)
        if (!places[n].taken)
            found = &places[n];
    if (found)
        found->taken = TRUE;
    g_mutex_unlock(&lock);
    return found;
}

/* Draws a part of the picture, from a copy in a free place; FALSE when there is none. */
static gboolean draw(const char *picture, QXLRect part)
{
    static uint32_t number;
    struct place *place = free_place();
    int columns = part.right - part.left, rows = part.bottom - part.top;
    if (!place) {
        spice_qxl_oom(&qxl); /* it then draws and lets go */
        return FALSE;
    }
    place->pixels = malloc((size_t)columns * rows * 4);
    for (int y = 0; y < rows; y++)
        memcpy(place->pixels + y * columns * 4, picture + ((part.top + y) * width + part.left) * 4, columns * 4);
    QXLDrawable *drawable = &place->drawable;
    QXLImage *image = &place->image;
    memset(drawable, 0, sizeof *drawable);
    drawable->release_info.id = place - places;
    drawable->bbox = part;
    drawable->effect = QXL_EFFECT_OPAQUE;
    drawable->type = QXL_DRAW_COPY;
    memset(drawable->surfaces_dest, -1, sizeof drawable->surfaces_dest);
    drawable->u.copy.rop_descriptor = SPICE_ROPD_OP_PUT;
    drawable->u.copy.src_bitmap = (uintptr_t)image;
    drawable->u.copy.src_area = (QXLRect){ .right = columns, .bottom = rows };
    QXL_SET_IMAGE_ID(image, QXL_IMAGE_GROUP_DEVICE, ++number);
    image->descriptor.type = SPICE_IMAGE_TYPE_BITMAP;
    image->descriptor.width = image->bitmap.x = columns;
    image->descriptor.height = image->bitmap.y = rows;
    image->bitmap.flags = QXL_BITMAP_DIRECT | QXL_BITMAP_TOP_DOWN;
    image->bitmap.stride = columns * 4;
    image->bitmap.data = (uintptr_t)place->pixels;
    image->bitmap.format = SPICE_BITMAP_FMT_32BIT;
    g_mutex_lock(&lock);
    g_queue_push_tail(&drawn, place);
    g_mutex_unlock(&lock);
    spice_qxl_wakeup(&qxl);
    return TRUE;
}

/* 16 by 5 blocks of 16x16 pixels, one bit each: 0xA5, number, microseconds, exclusive or. */
static void stamp(char *pixels, uint32_t number)
{
    struct timespec now;
    uint8_t bytes[10] = { 0xa5, number >> 16, number >> 8, number };
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t us = (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    for (int n = 0; n < 5; n++)
        bytes[4 + n] = us >> (32 - 8 * n);
    for (int n = 0; n < 9; n++)
        bytes[9] ^= bytes[n];
    for (int y = 0; y < 80; y++)
        for (int bit = 0; bit < 16; bit++) {
            int at = y / 16 * 16 + bit;
            memset(pixels + (y * width + bit * 16) * 4, bytes[at / 8] >> (7 - at % 8) & 1 ? 0xff : 0, 64);
        }
}

struct film {
    const char *pictures;
    int count, rate;
};

/* The box around what differs; empty when nothing does. */
static QXLRect changes(const char *before, const char *after)
{
    QXLRect box = { .top = height, .left = width };
    for (int y = 0; y < height; y++) {
        const uint32_t *a = (const uint32_t *)before + y * width, *b = (const uint32_t *)after + y * width;
        int left = 0, right = width;
        if (memcmp(a, b, width * 4) == 0)
            continue;
        while (a[left] == b[left])
            left++;
        while (a[right - 1] == b[right - 1])
            right--;
        box.top = MIN(box.top, y);
        box.bottom = y + 1;
        box.left = MIN(box.left, left);
        box.right = MAX(box.right, right);
    }
    return box;
}

static void *play(void *data)
{
    const struct film *film = data;
    const QXLRect whole = { .right = width, .bottom = height }, stamped = { .right = 256, .bottom = 80 };
    size_t size = (size_t)width * height * 4;
    char *picture = malloc(size), *shown = calloc(1, size);
    struct timespec next;
    pthread_setname_np(pthread_self(), "source");
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (uint32_t number = 0;; number++) {
        memcpy(picture, film->pictures + number % film->count * size, size);
        QXLRect box = changes(shown, picture);
        gboolean apart = box.bottom > box.top && (box.top >= 80 || box.left >= 256);
        gboolean done = TRUE;
        stamp(picture, number);
        if (number == 0)
            done = draw(picture, whole);
        else if (apart || box.bottom <= box.top)
            done = draw(picture, stamped) && (!apart || draw(picture, box));
        else
            done = draw(picture, (QXLRect){ .right = MAX(box.right, 256), .bottom = MAX(box.bottom, 80) });
        if (done)
            memcpy(shown, film->pictures + number % film->count * size, size);
        next.tv_nsec += 1000000000 / film->rate;
        next.tv_sec += next.tv_nsec / 1000000000;
        next.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    return NULL;
}

static void show(struct film *film)
{
    pthread_t thread;
    create_surface();
    if (film->rate)
        pthread_create(&thread, NULL, play, film);
    else
        draw(film->pictures, (QXLRect){ .right = width, .bottom = height });
}

static int streaming(const char *word)
{
    return g_str_equal(word, "off") ? SPICE_STREAM_VIDEO_OFF
         : g_str_equal(word, "all") ? SPICE_STREAM_VIDEO_ALL : SPICE_STREAM_VIDEO_FILTER;
}

static SpiceImageCompression compression(const char *word)
{
    return g_str_equal(word, "quic") ? SPICE_IMAGE_COMPRESSION_QUIC
         : g_str_equal(word, "lz4") ? SPICE_IMAGE_COMPRESSION_LZ4 : SPICE_IMAGE_COMPRESSION_AUTO_GLZ;
}

int main(int argc, char **argv)
{
    gsize length, size = 0;
    GError *error = NULL;
    GMappedFile *file = argc == 6 || argc == 9 || argc == 10 ? g_mapped_file_new(argv[3], FALSE, &error) : NULL;
    if (file) {
        width = atoi(argv[4]);
        height = atoi(argv[5]);
        size = (gsize)4 * width * height;
    }
    if (!file || !size || (length = g_mapped_file_get_length(file)) % size || !length) {
        fprintf(stderr, "usage: c-server ADDRESS PORT FILE WIDTH HEIGHT [PICTURES-A-SECOND STREAMING CODECS [COMPRESSION]]: %s\n",
                error ? error->message : "FILE must hold whole pictures of that size");
        return 2;
    }
    struct film film = { g_mapped_file_get_contents(file), length / size, argc > 6 ? atoi(argv[6]) : 0 };
    alarm(120);
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    SpiceServer *server = spice_server_new();
    spice_server_set_addr(server, argv[1], 0);
    spice_server_set_port(server, atoi(argv[2]));
    spice_server_set_noauth(server);
    if (film.rate) {
        spice_server_set_streaming_video(server, streaming(argv[7]));
        if (spice_server_set_video_codecs(server, argv[8]) != 0) {
            fprintf(stderr, "libspice-server does not have the codecs %s\n", argv[8]);
            return 2;
        }
    }
    spice_server_set_image_compression(server, compression(argc == 10 ? argv[9] : "auto_glz"));
    if (spice_server_init(server, &core) != 0)
        return 1;
    spice_server_add_interface(server, &qxl.base);
    spice_server_vm_start(server);
    show(&film);
    puts("ready");
    fflush(stdout);
    g_main_loop_run(loop);
    return 0;
}
