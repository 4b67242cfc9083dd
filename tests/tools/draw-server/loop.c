/* GLib's main loop for the library, and the clock of the steps. */
#include "draw-server.h"

enum { STEP_MS = 30 };

Step *steps;

struct SpiceTimer { SpiceTimerFunc func; void *opaque; guint source; };
struct SpiceWatch { int fd; SpiceWatchFunc func; void *opaque; guint source; };

static SpiceTimer *timer_add(SpiceTimerFunc func, void *opaque)
{
    SpiceTimer *timer = g_new0(SpiceTimer, 1);
    timer->func = func;
    timer->opaque = opaque;
    return timer;
}

static void timer_cancel(SpiceTimer *timer)
{
    if (timer->source)
        g_source_remove(timer->source);
    timer->source = 0;
}

static gboolean timer_fired(gpointer data)
{
    SpiceTimer *timer = data;
    timer->source = 0;
    timer->func(timer->opaque);
    return G_SOURCE_REMOVE;
}

static void timer_start(SpiceTimer *timer, uint32_t ms)
{
    timer_cancel(timer);
    timer->source = g_timeout_add(ms, timer_fired, timer);
}

static void timer_remove(SpiceTimer *timer)
{
    timer_cancel(timer);
    g_free(timer);
}

static gboolean watch_fired(gint fd, GIOCondition condition, gpointer data)
{
    SpiceWatch *watch = data;
    int events = condition & G_IO_OUT ? SPICE_WATCH_EVENT_WRITE : 0;
    if (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR))
        events |= SPICE_WATCH_EVENT_READ;
    watch->func(fd, events, watch->opaque);
    return G_SOURCE_CONTINUE;
}

static void watch_update(SpiceWatch *watch, int mask)
{
    GIOCondition condition = mask & SPICE_WATCH_EVENT_READ ? G_IO_IN | G_IO_HUP | G_IO_ERR : 0;
    if (mask & SPICE_WATCH_EVENT_WRITE)
        condition |= G_IO_OUT;
    if (watch->source)
        g_source_remove(watch->source);
    watch->source = condition ? g_unix_fd_add(watch->fd, condition, watch_fired, watch) : 0;
}

static SpiceWatch *watch_add(int fd, int mask, SpiceWatchFunc func, void *opaque)
{
    SpiceWatch *watch = g_new0(SpiceWatch, 1);
    watch->fd = fd;
    watch->func = func;
    watch->opaque = opaque;
    watch_update(watch, mask);
    return watch;
}

static void watch_remove(SpiceWatch *watch)
{
    watch_update(watch, 0);
    g_free(watch);
}

static gboolean play_step(G_GNUC_UNUSED gpointer data)
{
    if (!*steps)
        return G_SOURCE_REMOVE;
    (*steps++)();
    return G_SOURCE_CONTINUE;
}

static void channel_event(int event, SpiceChannelEventInfo *info)
{
    static gboolean begun;
    if (event == SPICE_CHANNEL_EVENT_INITIALIZED && info->type == SPICE_CHANNEL_DISPLAY && !begun) {
        begun = TRUE;
        /* The client opens its other channels at the same time; none should miss the beginning. */
        g_usleep(300000);
        g_timeout_add(STEP_MS, play_step, NULL);
    }
}

SpiceCoreInterface core = {
    .base = { SPICE_INTERFACE_CORE, "main loop", SPICE_INTERFACE_CORE_MAJOR, SPICE_INTERFACE_CORE_MINOR },
    .timer_add = timer_add, .timer_start = timer_start, .timer_cancel = timer_cancel, .timer_remove = timer_remove,
    .watch_add = watch_add, .watch_update_mask = watch_update, .watch_remove = watch_remove,
    .channel_event = channel_event,
};

