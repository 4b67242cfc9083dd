/* Parts draw and cache: every operation on a cell of the primary surface of its own. */
#include "draw-server.h"

static int next_cell;

/* A new operation on the next 16x16 cell of the primary surface. */
static QXLDrawable *drawable(int type)
{
    QXLDrawable *d = g_new0(QXLDrawable, 1);
    int x = next_cell % (WIDTH / CELL) * CELL, y = next_cell / (WIDTH / CELL) % (HEIGHT / CELL) * CELL;
    next_cell++;
    d->release_info.id = address(d);
    d->type = type;
    d->effect = QXL_EFFECT_BLEND;
    d->bbox = (QXLRect){ .top = y, .left = x, .bottom = y + CELL, .right = x + CELL };
    d->surfaces_dest[0] = d->surfaces_dest[1] = d->surfaces_dest[2] = -1;
    return d;
}

static void draw(QXLDrawable *d) { submit_drawing(QXL_CMD_DRAW, d); }

static QXLDataChunk *chunk_into(QXLDataChunk *chunk, const void *bytes, uint32_t size)
{
    chunk->data_size = size;
    memcpy(chunk->data, bytes, size);
    return chunk;
}

static QXLPHYSICAL palette(int entries, uint64_t unique)
{
    QXLPalette *p = g_malloc0(sizeof *p + 4 * entries);
    p->unique = unique;
    p->num_ents = entries;
    for (int i = 0; i < entries; i++)
        p->ents[i] = 0x010305 * i;
    return address(p);
}

/* A bitmap with a little structure; id 0 is no cache's business. */
static QXLImage *bitmap(int format, int width, int height, uint32_t id)
{
    static const int bits[] = { 0, 1, 1, 4, 4, 8, 16, 24, 32, 32, 8 };
    static const int entries[] = { 0, 2, 2, 16, 16, 256, 0, 0, 0, 0, 0 };
    static uint32_t unique = 1000;
    QXLImage *image = g_new0(QXLImage, 1);
    int stride = (width * bits[format] + 7) / 8;
    uint8_t *data = g_malloc(stride * height);
    for (int i = 0; i < stride * height; i++)
        data[i] = (i / stride & 4) ? (uint32_t)i * 7 : 0x55 + id;
    image->descriptor.id = (uint64_t)(id ? id : unique++) << 32 | QXL_IMAGE_GROUP_DRIVER;
    image->descriptor.type = SPICE_IMAGE_TYPE_BITMAP;
    image->descriptor.flags = id ? QXL_IMAGE_CACHE : 0;
    image->descriptor.width = image->bitmap.x = width;
    image->descriptor.height = image->bitmap.y = height;
    image->bitmap.format = format;
    image->bitmap.flags = QXL_BITMAP_DIRECT | QXL_BITMAP_TOP_DOWN;
    image->bitmap.stride = stride;
    image->bitmap.data = address(data);
    if (entries[format])
        image->bitmap.palette = palette(entries[format], 0);
    return image;
}

static QXLRect whole(int width, int height) { return (QXLRect){ .bottom = height, .right = width }; }
static QXLBrush solid(uint32_t color) { return (QXLBrush){ .type = SPICE_BRUSH_TYPE_SOLID, .u.color = color }; }

static QXLBrush pattern(void)
{
    QXLBrush brush = { .type = SPICE_BRUSH_TYPE_PATTERN };
    brush.u.pattern.pat = address(bitmap(SPICE_BITMAP_FMT_32BIT, 8, 8, 0));
    brush.u.pattern.pos = (QXLPoint){ .x = 1, .y = 2 };
    return brush;
}

static QXLQMask mask(void)
{
    return (QXLQMask){ .flags = SPICE_MASK_FLAGS_INVERS, .pos = { .x = 0, .y = 0 },
                       .bitmap = address(bitmap(SPICE_BITMAP_FMT_1BIT_BE, CELL, CELL, 0)) };
}

static void copy_image(QXLImage *image, int width, int height)
{
    QXLDrawable *d = drawable(QXL_DRAW_COPY);
    d->effect = QXL_EFFECT_OPAQUE;
    d->u.copy = (QXLCopy){ .src_bitmap = address(image), .src_area = whole(width, height),
                           .rop_descriptor = SPICE_ROPD_OP_PUT, .scale_mode = SPICE_IMAGE_SCALE_MODE_NEAREST };
    draw(d);
}

/* The part draw. */

static void fill_solid(void)
{
    QXLDrawable *d = drawable(QXL_DRAW_FILL);
    d->effect = QXL_EFFECT_OPAQUE;
    d->u.fill = (QXLFill){ .brush = solid(0xC04080), .rop_descriptor = SPICE_ROPD_OP_PUT };
    draw(d);
}

static void fill_clipped(void)
{
    QXLDrawable *d = drawable(QXL_DRAW_FILL);
    QXLRect rects[2] = { d->bbox, d->bbox };
    QXLClipRects *clip = g_malloc0(sizeof *clip + sizeof rects);
    rects[0].right -= 10;
    rects[1].left += 10;
    clip->num_rects = 2;
    chunk_into(&clip->chunk, rects, sizeof rects);
    d->clip = (QXLClip){ .type = SPICE_CLIP_TYPE_RECTS, .data = address(clip) };
    d->u.fill = (QXLFill){ .brush = solid(0x20F0A0), .rop_descriptor = SPICE_ROPD_OP_XOR };
    draw(d);
}

static void fill_pattern_masked(void)
{
    QXLDrawable *d = drawable(QXL_DRAW_FILL);
    d->u.fill = (QXLFill){ .brush = pattern(), .rop_descriptor = SPICE_ROPD_OP_PUT, .mask = mask() };
    draw(d);
}

static void opaque(void)
{
    QXLDrawable *d = drawable(QXL_DRAW_OPAQUE);
    d->u.opaque = (QXLOpaque){ .src_bitmap = address(bitmap(SPICE_BITMAP_FMT_32BIT, CELL, CELL, 0)),
                               .src_area = whole(CELL, CELL), .brush = pattern(), .rop_descriptor = SPICE_ROPD_OP_AND,
                               .mask = mask() };
    draw(d);
}

static void copy_formats(void)
{
    for (int format = SPICE_BITMAP_FMT_1BIT_LE; format <= SPICE_BITMAP_FMT_8BIT_A; format++)
        if (format != SPICE_BITMAP_FMT_1BIT_LE && format != SPICE_BITMAP_FMT_4BIT_LE)
            copy_image(bitmap(format, CELL, CELL, 0), CELL, CELL);
}

static void copy_scaled(void) { copy_image(bitmap(SPICE_BITMAP_FMT_RGBA, 32, 24, 0), 32, 24); }

static void copy_masked(void)
{
    QXLDrawable *d = drawable(QXL_DRAW_COPY);
    d->u.copy = (QXLCopy){ .src_bitmap = address(bitmap(SPICE_BITMAP_FMT_32BIT, CELL, CELL, 0)),
                           .src_area = whole(CELL, CELL), .rop_descriptor = SPICE_ROPD_OP_PUT, .mask = mask() };
    draw(d);
}

static void blend(void)
{
    QXLDrawable *d = drawable(QXL_DRAW_BLEND);
    d->u.blend = (QXLBlend){ .src_bitmap = address(bitmap(SPICE_BITMAP_FMT_32BIT, CELL, CELL, 0)),
                             .src_area = whole(CELL, CELL), .rop_descriptor = SPICE_ROPD_OP_OR };
    draw(d);
}

static void one_colour(void)
{
    draw(drawable(QXL_DRAW_BLACKNESS));
    QXLDrawable *d = drawable(QXL_DRAW_WHITENESS);
    d->u.whiteness.mask = mask();
    draw(d);
    draw(drawable(QXL_DRAW_INVERS));
}

static void rop3(void)
{
    QXLDrawable *d = drawable(QXL_DRAW_ROP3);
    d->u.rop3 = (QXLRop3){ .src_bitmap = address(bitmap(SPICE_BITMAP_FMT_32BIT, CELL, CELL, 0)),
                           .src_area = whole(CELL, CELL), .brush = solid(0x8080FF), .rop3 = 0xB8 };
    draw(d);
}

static void stroke(int flags)
{
    QXLDrawable *d = drawable(QXL_DRAW_STROKE);
    struct { QXLPathSeg head; QXLPointFix points[3]; } __attribute__((packed)) segment = {
        .head = { .flags = QXL_PATH_BEGIN | QXL_PATH_END | QXL_PATH_CLOSE, .count = 3 },
    };
    for (int i = 0; i < 3; i++)
        segment.points[i] = (QXLPointFix){ .x = (d->bbox.left + 2 + 5 * i) << 4, .y = (d->bbox.top + 3 + 4 * (i & 1)) << 4 };
    QXLPath *path = g_malloc0(sizeof *path + sizeof segment);
    path->data_size = sizeof segment;
    chunk_into(&path->chunk, &segment, sizeof segment);
    QXLFIXED *style = g_new0(QXLFIXED, 2);
    style[0] = 3 << 4;
    style[1] = 2 << 4;
    d->u.stroke = (QXLStroke){ .path = address(path), .brush = solid(0xFFFF00), .fore_mode = SPICE_ROPD_OP_PUT,
                               .back_mode = SPICE_ROPD_OP_PUT };
    d->u.stroke.attr.flags = flags;
    if (flags & SPICE_LINE_FLAGS_STYLED) {
        d->u.stroke.attr.style_nseg = 2;
        d->u.stroke.attr.style = address(style);
    }
    draw(d);
}
static void stroke_plain(void) { stroke(0); }
static void stroke_styled(void) { stroke(SPICE_LINE_FLAGS_STYLED | SPICE_LINE_FLAGS_START_WITH_GAP); }

static void text(int flags, int row)
{
    QXLDrawable *d = drawable(QXL_DRAW_TEXT);
    GByteArray *glyphs = g_byte_array_new();
    for (int i = 0; i < 2; i++) {
        QXLRasterGlyph glyph = { .render_pos = { .x = d->bbox.left + 1 + 8 * i, .y = d->bbox.top + 10 },
                                 .glyph_origin = { .x = 0, .y = -7 }, .width = 6, .height = 8 };
        uint8_t rows[8 * 6];
        memset(rows, 0x90 + i, sizeof rows);
        g_byte_array_append(glyphs, (guint8 *)&glyph, sizeof glyph);
        g_byte_array_append(glyphs, rows, 8 * row);
    }
    QXLString *string = g_malloc0(sizeof *string + glyphs->len);
    string->data_size = glyphs->len;
    string->length = 2;
    string->flags = flags;
    chunk_into(&string->chunk, glyphs->data, glyphs->len);
    d->u.text = (QXLText){ .str = address(string), .back_area = d->bbox, .fore_brush = solid(0xFFFFFF),
                           .back_brush = solid(0x000040), .fore_mode = SPICE_ROPD_OP_PUT, .back_mode = SPICE_ROPD_OP_PUT };
    draw(d);
}
static void text_a1(void) { text(SPICE_STRING_FLAGS_RASTER_A1, 1); }
static void text_a4(void) { text(SPICE_STRING_FLAGS_RASTER_A4, 3); }
static void text_a8(void) { text(SPICE_STRING_FLAGS_RASTER_A8 | SPICE_STRING_FLAGS_RASTER_TOP_DOWN, 6); }

static void transparent(void)
{
    QXLDrawable *d = drawable(QXL_DRAW_TRANSPARENT);
    d->u.transparent = (QXLTransparent){ .src_bitmap = address(bitmap(SPICE_BITMAP_FMT_32BIT, CELL, CELL, 0)),
                                         .src_area = whole(CELL, CELL), .src_color = 0x555555, .true_color = 0x555555 };
    draw(d);
}

static void alpha_blend(void)
{
    QXLDrawable *d = drawable(QXL_DRAW_ALPHA_BLEND);
    d->u.alpha_blend = (QXLAlphaBlend){ .alpha = 0x80, .src_bitmap = address(bitmap(SPICE_BITMAP_FMT_RGBA, CELL, CELL, 0)),
                                        .src_area = whole(CELL, CELL) };
    draw(d);
}

static void composite(int with)
{
    static QXLTransform transform = { 1 << 16, 0, 0, 0, 1 << 16, 0 };
    QXLDrawable *d = drawable(QXL_DRAW_COMPOSITE);
    d->u.composite.flags = QXL_OP_OVER | 1 << 8;
    d->u.composite.src = address(bitmap(SPICE_BITMAP_FMT_RGBA, CELL, CELL, 0));
    if (with) {
        d->u.composite.src_transform = d->u.composite.mask_transform = address(&transform);
        d->u.composite.mask = address(bitmap(SPICE_BITMAP_FMT_8BIT_A, CELL, CELL, 0));
    }
    draw(d);
}
static void composite_plain(void) { composite(0); }
static void composite_full(void) { composite(1); }

static void copy_bits(void)
{
    QXLDrawable *d = drawable(QXL_COPY_BITS);
    d->u.copy_bits.src_pos = (QXLPoint){ .x = 3, .y = 2 };
    draw(d);
}

static void surface_command(int type)
{
    QXLSurfaceCmd *command = g_new0(QXLSurfaceCmd, 1);
    command->release_info.id = address(command);
    command->surface_id = 1;
    command->type = type;
    command->u.surface_create = (QXLSurface){ .format = SPICE_SURFACE_FMT_32_ARGB, .width = 32, .height = 32,
                                              .stride = -32 * 4, .data = address(g_malloc0(32 * 32 * 4)) };
    submit_drawing(QXL_CMD_SURFACE, command);
}
static void surface_create(void) { surface_command(QXL_SURFACE_CMD_CREATE); }
static void surface_destroy(void) { surface_command(QXL_SURFACE_CMD_DESTROY); }

static void surface_draw(void)
{
    QXLDrawable *d = drawable(QXL_DRAW_FILL);
    d->surface_id = 1;
    d->bbox = whole(32, 32);
    d->u.fill = (QXLFill){ .brush = solid(0x11AA33), .rop_descriptor = SPICE_ROPD_OP_PUT };
    draw(d);
}

static void surface_copy(void)
{
    QXLDrawable *d = drawable(QXL_DRAW_COPY);
    QXLImage *image = g_new0(QXLImage, 1);
    image->descriptor.type = SPICE_IMAGE_TYPE_SURFACE;
    image->descriptor.width = image->descriptor.height = 32;
    image->surface_image.surface_id = 1;
    d->surfaces_dest[0] = 1;
    d->surfaces_rects[0] = whole(CELL, CELL);
    d->u.copy = (QXLCopy){ .src_bitmap = address(image), .src_area = whole(CELL, CELL), .rop_descriptor = SPICE_ROPD_OP_PUT };
    draw(d);
}

static void two_monitors(void)
{
    static struct { QXLMonitorsConfig config; QXLHead heads[2]; } __attribute__((packed)) monitors = {
        .config = { .count = 2, .max_allowed = 4 },
        .heads = { { .id = 0, .width = 64, .height = HEIGHT }, { .id = 1, .width = 64, .height = HEIGHT, .x = 64 } },
    };
    spice_qxl_monitors_config_async(qxl, address(&monitors), 0, 0);
}

static void new_primary(void)
{
    spice_qxl_destroy_primary_surface(qxl, 0);
    create_primary();
}

Step draw_steps[] = {
    fill_solid, fill_clipped, fill_pattern_masked, opaque, copy_formats, copy_scaled, copy_masked, blend, one_colour,
    rop3, stroke_plain, stroke_styled, text_a1, text_a4, text_a8, transparent, alpha_blend, composite_plain,
    composite_full, copy_bits, surface_create, surface_draw, surface_copy, surface_destroy, two_monitors, new_primary, NULL
};

/* The part cache. */

static void cached(uint32_t id) { copy_image(bitmap(SPICE_BITMAP_FMT_32BIT, 64, 64, id), 64, 64); }

static void cached_pictures(void)
{
    for (uint32_t id = 1; id <= 6; id++)
        cached(id);
    cached(6);
}

static void cached_palettes(void)
{
    static int drawn;
    for (int i = 0; i < 140; i++, drawn++) {
        QXLImage *image = bitmap(SPICE_BITMAP_FMT_4BIT_BE, CELL, CELL, 0);
        image->bitmap.palette = palette(16, 1 + drawn / 2);
        copy_image(image, CELL, CELL);
    }
}

static void reset_pictures(void) { spice_qxl_reset_image_cache(qxl); }

Step cache_steps[] = { cached_pictures, cached_pictures, cached_palettes, cached_palettes, cached_palettes,
                              reset_pictures, cached_pictures, NULL };

/*
 * The part shared-cache: two displays whose pictures are in one cache. The second shows what the
 * first has sent, and makes the cache forget what only the first has used.
 */
static void on_first(void)
{
    use_display(0);
    for (uint32_t id = 1; id <= 3; id++)
        cached(id);
}
static void on_second(void)
{
    use_display(1);
    for (uint32_t id = 3; id <= 8; id++)
        cached(id);
}

Step shared_cache_steps[] = { on_first, on_second, on_first, on_second, on_first, reset_pictures, on_second, NULL };
