package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/cmd/internal/command"
	"github.com/gapbundle/gapbundle/sources/export"
)

func mediaCommand() *cli.Command {
	return command.MediaCommand(acknowledged,
		&cli.StringFlag{Name: "spec", Usage: "the spec `FILE` whose state records what was acknowledged", Value: command.DefaultSpec}, stateFlag(),
		command.Text("destination", "`NAME` of the mirror whose receipts count; absent: each bundle's own, and --tidy does not go by receipts"))
}

// acknowledged returns what the exporter's state knows of bundles. Where no spec is named or at
// hand it knows nothing.
func acknowledged(c *cli.Context) (command.Side, error) {
	name := c.String("destination")
	if _, err := os.Stat(c.String("spec")); name == "" && !c.IsSet("spec") && errors.Is(err, fs.ErrNotExist) {
		return command.Side{}, nil
	}
	a, err := export.OpenAcknowledged(c.Context, export.ReceiptOptions{SpecPath: c.String("spec"), StateDir: c.String("state"), Destination: name})
	if err != nil {
		return command.Side{}, err
	}
	return command.Side{Witness: a.Of, Named: name != "", Close: a.Close}, nil
}

// nextMedium asks for a further medium; "": there is none.
func nextMedium(c *cli.Context, o *command.Output, q media.NextMedium) (string, error) {
	var text strings.Builder
	if q.Refused != nil {
		fmt.Fprintf(&text, "%v.\n", q.Refused)
	} else {
		text.WriteString("All media are full")
		if q.Left > 0 {
			fmt.Fprintf(&text, ", at most %s are still to be placed", command.HumanBytes(q.Left))
		}
		fmt.Fprintf(&text, "; the next needs %s free. Ctrl-C stops; the same command goes on later.\n", command.HumanBytes(q.Need))
	}
	if len(q.Keep) > 0 {
		fmt.Fprintf(&text, "Do not take out what is at %s: it is still being written.\n", strings.Join(q.Keep, ", "))
	}
	fmt.Fprintf(&text, "Bring medium %d", q.Number)
	if q.About > 0 {
		fmt.Fprintf(&text, " of about %d", q.About)
	}
	fmt.Fprintf(&text, ", then Enter; path [%s]: ", q.Dir)
	answer, _, err := command.Ask(c, o, text.String())
	if errors.Is(err, io.EOF) {
		return "", nil
	}
	return command.FirstOf(answer, q.Dir), err
}

// mediaLines returns the lines about what fits where.
func mediaLines(m *export.MediaPlan) []string {
	if m == nil {
		return nil
	}
	size := "volumes of at most " + command.HumanBytes(m.VolumeSize)
	if m.Chosen {
		size += ", chosen by the free space of the targets"
	}
	lines := []string{size}
	for _, t := range m.Targets {
		line := fmt.Sprintf("%s, %s free: ", t.Dir, command.HumanBytes(t.Free))
		switch {
		case t.Volumes == 0:
			line += "gets none"
		case t.Volumes == 1:
			line += fmt.Sprintf("volume %d, at most %s", t.First, command.HumanBytes(t.Bytes))
		case t.Volumes == t.Last-t.First+1:
			line += fmt.Sprintf("volumes %d to %d, at most %s", t.First, t.Last, command.HumanBytes(t.Bytes))
		default:
			line += fmt.Sprintf("%d of the volumes %d to %d, at most %s", t.Volumes, t.First, t.Last, command.HumanBytes(t.Bytes))
		}
		lines = append(lines, line)
	}
	if m.LeftBytes > 0 {
		what := "media"
		if m.MoreMedia == 1 {
			what = "medium"
		}
		lines = append(lines, fmt.Sprintf("at most %s more do not fit, before compression: %d more %s of %s, about %d in all; a further --to takes them, or a medium that is asked for on a terminal",
			command.HumanBytes(m.LeftBytes), m.MoreMedia, what, command.HumanBytes(m.MediumBytes), m.Media))
	}
	return lines
}

// fullHint returns what to do when no medium has room for a volume.
func fullHint(e *media.FullError) string {
	switch {
	case e.TooLarge:
		return "a volume of this size fits on no such medium, not even on an empty one: repeat the command without --volume-size, which then follows from the free space, or with a smaller one"
	case e.More == 1:
		return "repeat the same command with one more --to: about 1 more medium like the last one is needed; what is written is kept"
	case e.More > 1:
		return fmt.Sprintf("repeat the same command with more --to: about %s like the last one are needed; what is written is kept", bundle.Count(e.More, "more medium"))
	}
	return "repeat the same command with one more --to; what is written is kept"
}
