/* Part cursor: every shape, and more of them than the cursor cache holds. */
#include "draw-server.h"

static QXLCursorCmd *cursor_command(int type)
{
    QXLCursorCmd *command = g_new0(QXLCursorCmd, 1);
    command->release_info.id = address(command);
    command->type = type;
    return command;
}

static void cursor_set(int type, uint64_t unique)
{
    enum { SIDE = 16, MASK = SIDE / 8 * SIDE };
    static const int sizes[] = { SIDE * SIDE * 4, 2 * MASK, SIDE / 2 * SIDE + 16 * 4 + MASK, SIDE * SIDE + 256 * 4 + MASK,
                                 SIDE * SIDE * 2 + MASK, SIDE * SIDE * 3 + MASK, SIDE * SIDE * 4 + MASK };
    QXLCursor *shape = g_malloc0(sizeof *shape + sizes[type]);
    shape->header = (QXLCursorHeader){ .unique = unique, .type = type, .width = SIDE, .height = SIDE, .hot_spot_x = 1, .hot_spot_y = 2 };
    shape->data_size = sizes[type];
    shape->chunk.data_size = sizes[type];
    memset(shape->chunk.data, 0x3C + type, sizes[type]);
    QXLCursorCmd *command = cursor_command(QXL_CURSOR_SET);
    command->u.set.position = (QXLPoint16){ .x = 20, .y = 30 };
    command->u.set.visible = 1;
    command->u.set.shape = address(shape);
    submit_cursor(command);
}

static void cursor_types(void)
{
    for (int type = SPICE_CURSOR_TYPE_ALPHA; type <= SPICE_CURSOR_TYPE_COLOR32; type++)
        cursor_set(type, type % 2 ? 0 : 50 + type);
}
static void cursor_again(void) { cursor_set(SPICE_CURSOR_TYPE_ALPHA, 50 + SPICE_CURSOR_TYPE_ALPHA); }

static void cursor_move(void)
{
    QXLCursorCmd *command = cursor_command(QXL_CURSOR_MOVE);
    command->u.position = (QXLPoint16){ .x = 40, .y = 50 };
    submit_cursor(command);
}

static void cursor_trail(void)
{
    QXLCursorCmd *command = cursor_command(QXL_CURSOR_TRAIL);
    command->u.trail.length = 3;
    command->u.trail.frequency = 50;
    submit_cursor(command);
}

static void cursor_hide(void) { submit_cursor(cursor_command(QXL_CURSOR_HIDE)); }
static void cursor_reset(void) { spice_qxl_reset_cursor(qxl); }

static void cursor_many(void)
{
    for (int i = 0; i < 70; i++)
        cursor_set(SPICE_CURSOR_TYPE_MONO, 1000 + i);
}

Step cursor_steps[] = { cursor_types, cursor_again, cursor_move, cursor_trail, cursor_hide, cursor_move,
                               cursor_many, cursor_many, cursor_many, cursor_many, cursor_reset, cursor_again, NULL };

