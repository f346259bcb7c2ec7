package child

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"time"
)

// Command is the argument by which this program is the child.
const Command = "render-chart"

// Limits of one render. The largest of eleven charts that were measured,
// kube-prometheus-stack, takes 60 MB and a second.
const (
	// MaxMemory is the address space that the child may take besides what it
	// has when it starts.
	MaxMemory = 1 << 30 // bytes
	// MaxCPU is the child's processor time.
	MaxCPU = 60 * time.Second
	// MaxTime is when the parent ends the child, whatever it does.
	MaxTime = 120 * time.Second
	// maxFiles are the child's open files: its pipes, and the runtime's own.
	maxFiles = 32
)

// Limit is the error about a render that was ended.
type Limit struct {
	What     string // what was used up
	Most     string // how much there is
	Template string // that was rendered then; "": it was none, or it is not known
}

func (l *Limit) Error() string {
	if l.Template == "" {
		return fmt.Sprintf("rendering the chart takes more than %s of %s; no single template is known to be the cause", l.Most, l.What)
	}
	return fmt.Sprintf("rendering the template %s takes more than %s of %s", l.Template, l.Most, l.What)
}

// Runner starts children.
type Runner struct {
	// Program is the path of this program.
	Program string
	// Time is when a child is ended; 0: MaxTime.
	Time time.Duration
}

// Render renders one chart. An error of type *Limit is about what the chart
// uses; Reply.Error is about the chart or its values; every other error is
// about the child.
func (r Runner) Render(ctx context.Context, q *Request) (*Reply, error) {
	if r.Program == "" {
		return nil, errors.New("rendering charts: the path of this program is not known")
	}
	input, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	most := r.Time
	if most == 0 {
		most = MaxTime
	}
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	output := &bounded{most: MaxReply, full: cancel}
	cmd := exec.CommandContext(limited, r.Program, Command)
	cmd.Env = []string{}
	cmd.Dir = filepath.VolumeName(r.Program) + string(filepath.Separator)
	cmd.Stdin, cmd.Stdout = bytes.NewReader(input), output
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	template, answer := split(output.buffer.Bytes())
	switch {
	case output.over:
		return nil, &Limit{"output", fmt.Sprintf("%d MiB", MaxReply>>20), template}
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case limited.Err() != nil:
		return nil, &Limit{"time", most.String(), template}
	case err != nil:
		return nil, ended(cmd, template, err)
	}
	var reply Reply
	if err := json.Unmarshal(answer, &reply); err != nil {
		return nil, fmt.Errorf("%s %s: answer: %w", r.Program, Command, err)
	}
	return &reply, nil
}

// How the Go runtime ends when it cannot go on, which here is for want of
// memory: a panic is caught by the child.
const (
	exitRuntime = 2
	aborted     = "signal: aborted" // in a thread of C
)

// ended explains a child that gave no answer.
func ended(cmd *exec.Cmd, template string, err error) error {
	state := cmd.ProcessState
	switch {
	case state == nil:
		return fmt.Errorf("%s %s: %w", cmd.Path, Command, err)
	case state.UserTime()+state.SystemTime() >= MaxCPU-time.Second:
		return &Limit{"processor time", MaxCPU.String(), template}
	case state.ExitCode() == exitRuntime, state.String() == aborted:
		return &Limit{"memory", fmt.Sprintf("%d MiB", MaxMemory>>20), template}
	}
	return fmt.Errorf("%s %s: %w", cmd.Path, Command, err)
}

// bounded takes output up to a limit.
type bounded struct {
	buffer bytes.Buffer // not embedded: its ReadFrom knows no limit
	most   int
	over   bool
	full   func()
}

// Write takes nothing beyond the limit and ends the child.
func (b *bounded) Write(p []byte) (int, error) {
	if b.buffer.Len()+len(p) > b.most {
		b.over = true
		b.full()
		return 0, io.ErrShortWrite
	}
	return b.buffer.Write(p)
}
