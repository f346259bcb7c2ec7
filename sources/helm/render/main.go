package render

import (
	"fmt"
	"io"
	"log"
	"log/slog"

	"github.com/gapbundle/gapbundle/sources/helm/child"
)

// Exit codes of the child.
const (
	exitAnswered = 0
	exitBroken   = 3 // the request or the pipes; 2 is the Go runtime's own
)

// Main returns the child: it confines itself, reads a request, renders, answers. It
// returns the exit code. A fault of the chart is part of the answer.
func Main(stdin io.Reader, stdout io.Writer) int {
	if err := child.Confine(); err != nil {
		return exitBroken
	}
	log.SetOutput(io.Discard)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	q, err := child.ReadRequest(stdin)
	if err != nil {
		return exitBroken
	}
	if err := answer(q, stdout).Write(stdout); err != nil {
		return exitBroken
	}
	return exitAnswered
}

// answer renders, and reports to the parent what is rendered. A panic of the libraries is
// an error of the chart.
func answer(q *child.Request, parent io.Writer) (p *child.Reply) {
	defer func() {
		if r := recover(); r != nil {
			p = &child.Reply{Error: fmt.Sprintf("helm's engine gave up: %v", r)}
		}
	}()
	p, err := render(q, parent)
	if err != nil {
		return &child.Reply{Error: err.Error()}
	}
	return p
}
