/*
 * A program as they are written for libspice-server: a QXL device whose guest draws, read back.
 *
 *   application SOCKET [tame]
 *
 * With "tame" it asks for nothing that must be refused, by which libspice-server ends the process.
 *
 * Says on standard output what it sees of the library, one line each, and ends with "done".
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <spice.h>
#include <spice/enums.h>

#define WIDTH 16
#define HEIGHT 8
#define COMMANDS 64

/* ---- the main loop: one watch, and no timers */

struct SpiceWatch {
    int fd, mask;
    SpiceWatchFunc func;
    void *opaque;
};
static struct SpiceWatch the_watch;
static pthread_t main_thread;
static int tame;

static SpiceTimer *timer_add(SpiceTimerFunc func, void *opaque) { return NULL; }
static void timer_start(SpiceTimer *timer, uint32_t ms) { }
static void timer_stop(SpiceTimer *timer) { }
static SpiceWatch *watch_add(int fd, int mask, SpiceWatchFunc func, void *opaque)
{
    the_watch = (struct SpiceWatch){ fd, mask, func, opaque };
    return &the_watch;
}
static void watch_update_mask(SpiceWatch *watch, int mask) { watch->mask = mask; }
static void watch_remove(SpiceWatch *watch) { watch->func = NULL; }
static void channel_event(int event, SpiceChannelEventInfo *info) { }
static SpiceCoreInterface core = {
    .base = { SPICE_INTERFACE_CORE, "core", SPICE_INTERFACE_CORE_MAJOR, SPICE_INTERFACE_CORE_MINOR },
    .timer_add = timer_add, .timer_start = timer_start, .timer_cancel = timer_stop, .timer_remove = timer_stop,
    .watch_add = watch_add, .watch_update_mask = watch_update_mask, .watch_remove = watch_remove,
    .channel_event = channel_event,
};

/* ---- the device: commands in an array, released ones counted */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static QXLCommandExt commands[COMMANDS];
static int written, taken, released, cookies[8], on_main_thread;

static void note_thread(void) { on_main_thread |= pthread_equal(pthread_self(), main_thread); }
static void attached_worker(QXLInstance *qxl) { }
static void set_compression_level(QXLInstance *qxl, int level) { }
static void set_mm_time(QXLInstance *qxl, uint32_t time) { }
static void get_init_info(QXLInstance *qxl, QXLDevInitInfo *info)
{
    *info = (QXLDevInitInfo){ .num_memslots_groups = 1, .num_memslots = 2, .memslot_gen_bits = 8,
                              .memslot_id_bits = 8, .n_surfaces = 4 };
}
static int get_command(QXLInstance *qxl, QXLCommandExt *command)
{
    note_thread();
    pthread_mutex_lock(&lock);
    int there = taken < written;
    if (there)
        *command = commands[taken++];
    pthread_mutex_unlock(&lock);
    return there;
}
static int req_cmd_notification(QXLInstance *qxl)
{
    pthread_mutex_lock(&lock);
    int none = taken == written;
    pthread_mutex_unlock(&lock);
    return none;
}
static void release_resource(QXLInstance *qxl, struct QXLReleaseInfoExt info)
{
    note_thread();
    pthread_mutex_lock(&lock);
    released += info.info->id == 4711;
    pthread_mutex_unlock(&lock);
}
static int get_cursor_command(QXLInstance *qxl, QXLCommandExt *command) { return 0; }
static int req_cursor_notification(QXLInstance *qxl) { return 1; }
static void notify_update(QXLInstance *qxl, uint32_t id) { }
static int flush_resources(QXLInstance *qxl) { return 0; }
static void async_complete(QXLInstance *qxl, uint64_t cookie)
{
    note_thread();
    pthread_mutex_lock(&lock);
    cookies[cookie]++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}
static void update_area_complete(QXLInstance *qxl, uint32_t surface, QXLRect *rects, uint32_t count) { }
static void set_client_capabilities(QXLInstance *qxl, uint8_t present, uint8_t caps[58]) { }
static int client_monitors_config(QXLInstance *qxl, VDAgentMonitorsConfig *config) { return 0; }
static QXLInterface qxl_interface = {
    .base = { SPICE_INTERFACE_QXL, "qxl", SPICE_INTERFACE_QXL_MAJOR, SPICE_INTERFACE_QXL_MINOR },
    .attached_worker = attached_worker, .set_compression_level = set_compression_level, .set_mm_time = set_mm_time,
    .get_init_info = get_init_info, .get_command = get_command, .req_cmd_notification = req_cmd_notification,
    .release_resource = release_resource, .get_cursor_command = get_cursor_command,
    .req_cursor_notification = req_cursor_notification, .notify_update = notify_update,
    .flush_resources = flush_resources, .async_complete = async_complete,
    .update_area_complete = update_area_complete, .set_client_capabilities = set_client_capabilities,
    .client_monitors_config = client_monitors_config,
};
static QXLInstance qxl = { .base.sif = &qxl_interface.base };

/* ---- the guest: its memory, and addresses of slot 1, generation 3 in it */

static uint8_t memory[1 << 20];
static size_t used = 64;

static uint64_t address(void *at) { return 1ull << 56 | 3ull << 48 | (uint64_t)((uint8_t *)at - memory); }
static void *room(size_t size)
{
    void *at = memory + used;
    used += (size + 15) & ~15ul;
    return at;
}
static void submit(uint32_t type, void *data)
{
    commands[written] = (QXLCommandExt){ .cmd = { .data = address(data), .type = type } };
    written++;
}
static QXLDrawable *drawable(uint8_t type, QXLRect box)
{
    QXLDrawable *d = room(sizeof *d);
    d->release_info.id = 4711;
    d->type = type;
    d->bbox = box;
    for (int n = 0; n < 3; n++)
        d->surfaces_dest[n] = -1;
    submit(QXL_CMD_DRAW, d);
    return d;
}
static QXLRect box(int x, int y, int width, int height)
{
    return (QXLRect){ .top = y, .left = x, .bottom = y + height, .right = x + width };
}
static void solid(QXLBrush *brush, uint32_t color)
{
    brush->type = SPICE_BRUSH_TYPE_SOLID;
    brush->u.color = color;
}
static uint64_t image(int width, int height, const uint32_t *pixels)
{
    QXLImage *i = room(sizeof *i);
    uint32_t *rows = room(width * height * 4);
    memcpy(rows, pixels, width * height * 4);
    i->descriptor = (QXLImageDescriptor){ .id = 1, .type = SPICE_IMAGE_TYPE_BITMAP, .width = width, .height = height };
    i->bitmap = (QXLBitmap){ .format = SPICE_BITMAP_FMT_32BIT, .flags = QXL_BITMAP_DIRECT | QXL_BITMAP_TOP_DOWN,
                             .x = width, .y = height, .stride = width * 4, .data = address(rows) };
    return address(i);
}

/* ---- what is drawn: each line of pixels is asserted by whoever runs this */

static void draw(void)
{
    static const uint32_t four[4] = { 0x010203, 0x040506, 0x070809, 0x0a0b0c };
    uint64_t source = image(2, 2, four);
    solid(&drawable(QXL_DRAW_FILL, box(0, 0, WIDTH, HEIGHT))->u.fill.brush, 0x111111);
    ((QXLDrawable *)(memory + used - ((sizeof(QXLDrawable) + 15) & ~15ul)))->u.fill.rop_descriptor = SPICE_ROPD_OP_PUT;
    QXLDrawable *d = drawable(QXL_DRAW_COPY, box(1, 0, 2, 2));
    d->u.copy = (QXLCopy){ .src_bitmap = source, .src_area = box(0, 0, 2, 2), .rop_descriptor = SPICE_ROPD_OP_PUT };
    d = drawable(QXL_DRAW_COPY, box(4, 0, 4, 4));                       /* twice as large */
    d->u.copy = (QXLCopy){ .src_bitmap = source, .src_area = box(0, 0, 2, 2), .rop_descriptor = SPICE_ROPD_OP_PUT,
                           .scale_mode = SPICE_IMAGE_SCALE_MODE_NEAREST };
    d = drawable(QXL_COPY_BITS, box(9, 0, 3, 2));
    d->u.copy_bits.src_pos = (QXLPoint){ 1, 0 };
    drawable(QXL_DRAW_INVERS, box(12, 0, 1, 1));
    drawable(QXL_DRAW_BLACKNESS, box(13, 0, 1, 1));
    drawable(QXL_DRAW_WHITENESS, box(14, 0, 1, 1));
    d = drawable(QXL_DRAW_FILL, box(15, 0, 1, 1));
    solid(&d->u.fill.brush, 0x00ff00);
    d->u.fill.rop_descriptor = SPICE_ROPD_OP_XOR;
    d = drawable(QXL_DRAW_TRANSPARENT, box(0, 4, 2, 2));
    d->u.transparent = (QXLTransparent){ .src_bitmap = source, .src_area = box(0, 0, 2, 2), .src_color = 0x010203,
                                         .true_color = 0x010203 };
    d = drawable(QXL_DRAW_ALPHA_BLEND, box(2, 4, 2, 2));
    d->u.alpha_blend = (QXLAlphaBlend){ .alpha = 128, .src_bitmap = source, .src_area = box(0, 0, 2, 2) };
    d = drawable(QXL_DRAW_ROP3, box(4, 4, 2, 2));                       /* source where the brush is one, else old */
    d->u.rop3 = (QXLRop3){ .src_bitmap = source, .src_area = box(0, 0, 2, 2), .rop3 = 0xca };
    solid(&d->u.rop3.brush, 0x0000ff);
    d = drawable(QXL_DRAW_FILL, box(0, 6, WIDTH, 1));                   /* in two rectangles that overlap */
    solid(&d->u.fill.brush, 0xffffff);
    d->u.fill.rop_descriptor = SPICE_ROPD_OP_XOR;
    QXLClipRects *clip = room(sizeof *clip + 2 * sizeof(QXLRect));
    QXLRect rects[2] = { box(1, 0, 3, 8), box(3, 0, 2, 8) };
    clip->num_rects = 2;
    clip->chunk.data_size = sizeof rects;
    memcpy(clip->chunk.data, rects, sizeof rects);
    d->clip = (QXLClip){ SPICE_CLIP_TYPE_RECTS, address(clip) };
    if (tame)
        return;
    drawable(QXL_DRAW_FILL, box(0, 0, WIDTH + 1, 1));                   /* refused: not inside */
    drawable(99, box(0, 0, 1, 1));                                      /* refused: no such drawing */
}

/* Patterns, masks, surfaces, glyphs: on a ground of zeros. */
static void draw_more(void)
{
    static const uint32_t four[4] = { 0x010203, 0x040506, 0x070809, 0x0a0b0c };
    uint64_t source = image(2, 2, four);
    drawable(QXL_DRAW_BLACKNESS, box(0, 0, WIDTH, HEIGHT));
    QXLDrawable *d = drawable(QXL_DRAW_FILL, box(0, 0, 5, 2));          /* a pattern from column 1 on */
    d->u.fill.brush.type = SPICE_BRUSH_TYPE_PATTERN;
    d->u.fill.brush.u.pattern = (QXLPattern){ source, { 1, 0 } };
    d->u.fill.rop_descriptor = SPICE_ROPD_OP_PUT;

    QXLImage *mask = room(sizeof *mask);
    uint8_t *bits = room(2);
    bits[0] = 0xa0;                                                     /* 1010, then 0101 */
    bits[1] = 0x50;
    mask->descriptor = (QXLImageDescriptor){ .type = SPICE_IMAGE_TYPE_BITMAP, .width = 4, .height = 2 };
    mask->bitmap = (QXLBitmap){ .format = SPICE_BITMAP_FMT_1BIT_BE, .flags = QXL_BITMAP_DIRECT | QXL_BITMAP_TOP_DOWN,
                                .x = 4, .y = 2, .stride = 1, .data = address(bits) };
    d = drawable(QXL_DRAW_WHITENESS, box(6, 0, 4, 2));
    d->u.whiteness.mask.bitmap = address(mask);

    QXLSurfaceCmd *create = room(sizeof *create);                       /* a surface, drawn on and drawn from */
    create->release_info.id = 4711;
    create->surface_id = 2;
    create->type = QXL_SURFACE_CMD_CREATE;
    create->u.surface_create = (QXLSurface){ SPICE_SURFACE_FMT_32_xRGB, 2, 2, 8, address(room(16)) };
    submit(QXL_CMD_SURFACE, create);
    d = drawable(QXL_DRAW_COPY, box(0, 0, 2, 2));
    d->surface_id = 2;
    d->u.copy = (QXLCopy){ .src_bitmap = source, .src_area = box(0, 0, 2, 2), .rop_descriptor = SPICE_ROPD_OP_PUT };
    QXLImage *surface = room(sizeof *surface);
    surface->descriptor = (QXLImageDescriptor){ .type = SPICE_IMAGE_TYPE_SURFACE, .width = 2, .height = 2 };
    surface->surface_image.surface_id = 2;
    d = drawable(QXL_DRAW_COPY, box(11, 0, 2, 2));
    d->surfaces_dest[0] = 2;
    d->surfaces_rects[0] = box(0, 0, 2, 2);
    d->u.copy = (QXLCopy){ .src_bitmap = address(surface), .src_area = box(0, 0, 2, 2),
                           .rop_descriptor = SPICE_ROPD_OP_PUT | SPICE_ROPD_INVERS_SRC };
    QXLSurfaceCmd *destroy = room(sizeof *destroy);
    *destroy = (QXLSurfaceCmd){ .release_info.id = 4711, .surface_id = 2, .type = QXL_SURFACE_CMD_DESTROY };
    submit(QXL_CMD_SURFACE, destroy);

    size_t glyph_size = sizeof(QXLRasterGlyph) + 2;                     /* one glyph of 4 x 2 bits */
    QXLString *string = room(sizeof *string + glyph_size);
    *string = (QXLString){ .data_size = glyph_size, .length = 1, .flags = SPICE_STRING_FLAGS_RASTER_A1 };
    string->chunk.data_size = glyph_size;
    QXLRasterGlyph *glyph = (QXLRasterGlyph *)string->chunk.data;
    *glyph = (QXLRasterGlyph){ .render_pos = { 2, 5 }, .glyph_origin = { 0, -1 }, .width = 4, .height = 2 };
    glyph->data[0] = 0x60;                                              /* the lower row comes first */
    glyph->data[1] = 0x90;
    d = drawable(QXL_DRAW_TEXT, box(0, 3, WIDTH, 4));
    d->u.text = (QXLText){ .str = address(string), .back_area = box(2, 4, 4, 2),
                           .fore_mode = SPICE_ROPD_OP_PUT, .back_mode = SPICE_ROPD_OP_PUT };
    solid(&d->u.text.fore_brush, 0x123456);
    solid(&d->u.text.back_brush, 0x777777);
}

static void wait_for_cookie(int cookie)
{
    pthread_mutex_lock(&lock);
    while (!cookies[cookie])
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void say_pixels(const uint32_t *pixels)
{
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            printf("%06x%c", pixels[y * WIDTH + x] & 0xffffff, x == WIDTH - 1 ? '\n' : ' ');
}

int main(int argc, char **argv)
{
    main_thread = pthread_self();
    tame = argc > 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    SpiceServer *server = spice_server_new();
    spice_server_set_addr(server, argv[1], SPICE_ADDR_FLAG_UNIX_ONLY);
    spice_server_set_noauth(server);
    printf("init %d\n", spice_server_init(server, &core));
    SpiceBaseInterface unknown = { "unknown", "unknown", 1, 0 };
    SpiceBaseInstance stranger = { &unknown };
    if (!tame)
        printf("unknown %d\n", spice_server_add_interface(server, &stranger));
    printf("qxl %d\n", spice_server_add_interface(server, &qxl.base));
    if (!tame)
        printf("again %d\n", spice_server_add_interface(server, &qxl.base));
    spice_server_vm_start(server);

    QXLDevMemSlot slot = { .slot_id = 1, .generation = 3, .virt_start = (uintptr_t)memory,
                           .virt_end = (uintptr_t)memory + sizeof memory, .addr_delta = (uintptr_t)memory };
    spice_qxl_add_memslot_async(&qxl, &slot, 1);
    wait_for_cookie(1);
    uint32_t *primary = room(WIDTH * HEIGHT * 4);
    QXLDevSurfaceCreate create = { .width = WIDTH, .height = HEIGHT, .stride = WIDTH * 4,
                                   .format = SPICE_SURFACE_FMT_32_xRGB, .mem = address(primary) };
    spice_qxl_create_primary_surface_async(&qxl, 0, &create, 2);
    wait_for_cookie(2);

    pthread_mutex_lock(&lock);
    draw();
    pthread_mutex_unlock(&lock);
    spice_qxl_wakeup(&qxl);
    QXLRect all = box(0, 0, WIDTH, HEIGHT), dirty[2];
    spice_qxl_update_area(&qxl, 0, &all, dirty, 2, 1);
    say_pixels(primary);
    pthread_mutex_lock(&lock);
    draw_more();
    pthread_mutex_unlock(&lock);
    spice_qxl_update_area(&qxl, 0, &all, dirty, 2, 1);
    say_pixels(primary);
    printf("released %d of %d\n", released, written);
    QXLRect outside = box(0, 0, WIDTH + 1, 1);
    if (!tame) {
        spice_qxl_update_area(&qxl, 0, &outside, dirty, 1, 1);
        spice_qxl_update_area(&qxl, 3, &all, dirty, 1, 1);
    }

    spice_qxl_flush_surfaces_async(&qxl, 3);
    spice_qxl_destroy_surfaces_async(&qxl, 4);
    wait_for_cookie(4);
    printf("cookies %d %d %d %d\n", cookies[1], cookies[2], cookies[3], cookies[4]);
    printf("from the main thread %d\n", on_main_thread);
    struct sigaction action;
    sigaction(SIGTERM, NULL, &action);
    printf("SIGTERM is the application's %d\n", action.sa_handler == SIG_DFL);
    printf("remove %d\n", spice_server_remove_interface(&qxl.base));
    spice_server_destroy(server);
    printf("watched after the end %d\n", the_watch.func != NULL);
    puts("done");
    return 0;
}
