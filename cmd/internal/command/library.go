package command

import (
	"context"
	"log/slog"
)

// libraryHandler turns what libraries log by themselves, such as net/http about a server's
// mistakes, into debug lines. A script that reads JSON must not get them, nor a person who
// passed -q.
type libraryHandler struct{ to slog.Handler }

// adoptLibraries makes l the place of everything that libraries write by the packages log and
// slog; otherwise they write to standard error in forms of their own.
func adoptLibraries(l *slog.Logger) { slog.SetDefault(slog.New(libraryHandler{l.Handler()})) }

func (h libraryHandler) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.to.Enabled(ctx, slog.LevelDebug)
}

func (h libraryHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return h.to.Handle(ctx, r)
}

func (h libraryHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return libraryHandler{h.to.WithAttrs(attrs)}
}

func (h libraryHandler) WithGroup(name string) slog.Handler {
	return libraryHandler{h.to.WithGroup(name)}
}
