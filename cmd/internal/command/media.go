package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/tidy"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// Witness returns what one side knows about a bundle with this manifest and digest of its root,
// and whether that proves that the bundle is not needed any more.
type Witness func(m *bundle.Manifest, root bundle.Digest) (state string, needless bool, err error)

// Side is one that knows bundles. Named means that --tidy goes by it.
type Side struct {
	Witness Witness // nil: nothing is known there
	Named   bool
	Close   func() error // nil: nothing to close
}

// Exporter opens the connected side.
type Exporter func(c *cli.Context) (Side, error)

// MediaCommand returns the command gapbundle media. exporter is the connected side, and more are the flags
// for it; nil: this program has none.
func MediaCommand(exporter Exporter, more ...cli.Flag) *cli.Command {
	text, example := "", ""
	if exporter != nil {
		text = `
On the connected side the state of the spec says which bundles a destination has
acknowledged. --tidy --destination removes those, and older ones.`
		example = "\ngapbundle media /media/usb --destination plant --tidy"
	}
	return Leaf(&cli.Command{
		Name: "media", Usage: "list the bundles on media, and remove those that are not needed any more", ArgsUsage: "PATH...",
		Description: `Lists each bundle, its size on the medium, and whether the mirror has imported it.
--tidy removes the bundles that this mirror has imported, which it knows by their
bundle.json. Every other bundle stays, and so do files that belong to no bundle. On a
terminal you are asked before anything is removed; elsewhere --yes is needed.` + text,
		UsageText: `gapbundle media /media/usb --mirror /srv/mirror
gapbundle media /media/usb --mirror /srv/mirror --tidy --dry-run` + example,
		Flags: append([]cli.Flag{
			Text("mirror", "the mirror's `DIR`: which bundles it has imported"),
			Toggle("tidy", "remove the bundles that are provably not needed any more"),
			Toggle("yes", "do not ask before bundles are removed"), DryRunFlag(),
		}, more...),
	}, func(c *cli.Context, o *Output) error { return listMedia(c, o, exporter) })
}

// carried is a bundle with what is known of it.
type carried struct {
	Name     string        `json:"name"`
	Root     bundle.Digest `json:"root,omitzero"`
	Stream   string        `json:"stream,omitempty"`
	Full     bool          `json:"full"`
	Base     int64         `json:"base,omitempty"`
	For      string        `json:"destination,omitempty"`
	Created  time.Time     `json:"created,omitzero"`
	Bytes    int64         `json:"bytes"`
	Dirs     []tidy.Dir    `json:"dirs"`
	Mirror   string        `json:"mirror,omitempty"`
	Exporter string        `json:"exporter,omitempty"`
	// Needless means that every side that was named proves that it is not needed.
	Needless bool `json:"needless"`
	// Removed means that it was, but for Left.
	Removed bool     `json:"removed,omitempty"`
	Left    []string `json:"left,omitempty"`
	Problem string   `json:"problem,omitempty"`

	bundle *tidy.Bundle
}

func listMedia(c *cli.Context, o *Output, exporter Exporter) error {
	mirror, err := mirrorSide(c, o)
	if err != nil {
		return err
	}
	defer mirror.close()
	var connected Side
	if exporter != nil {
		if connected, err = exporter(c); err != nil {
			return err
		}
		defer connected.close()
	}
	if c.Bool("tidy") && !mirror.Named && !connected.Named {
		hint := "say whose: --mirror DIR"
		if exporter != nil {
			hint += ", or on the connected side --destination NAME"
		}
		return &UsageError{"media: --tidy: no mirror or destination is named that does not need the bundles", hint}
	}
	found, err := tidy.Find(c.Args().Slice())
	if err != nil {
		return err
	}
	all := make([]*carried, 0, len(found))
	var findings []error
	for _, b := range found {
		defer b.Close()
		one, err := ask(b, mirror, connected)
		all, findings = append(all, one), append(findings, err)
	}
	if c.Bool("tidy") {
		findings = append(findings, removeNeedless(c, o, all))
	}
	o.Show(map[string]any{"bundles": all, "dryRun": c.Bool("dry-run")}, func(out io.Writer) { writeMedia(out, c, all) })
	return errors.Join(findings...)
}

func (s Side) close() {
	if s.Close != nil {
		_ = s.Close() // read-only
	}
}

func mirrorSide(c *cli.Context, o *Output) (Side, error) {
	dir := c.String("mirror")
	if dir == "" {
		return Side{}, nil
	}
	o.mirror = dir
	m, err := unpack.Open(dir, mirrorOptions(c, o, bundle.NoProgress))
	if err != nil {
		return Side{}, err
	}
	w, err := imported(c.Context, m)
	if err != nil {
		return Side{}, errors.Join(err, m.Close())
	}
	return Side{w, true, m.Close}, nil
}

// imported returns what a mirror knows: roots that it has accepted are proven.
func imported(ctx context.Context, m *unpack.Mirror) (Witness, error) {
	status, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	accepted := m.Receiver()
	return func(of *bundle.Manifest, root bundle.Digest) (string, bool, error) {
		a, err := accepted.Accepted(of.Set)
		name := bundle.DirName(of.Set, of.Sequence)
		switch {
		case err != nil:
			return "", false, err
		case slices.ContainsFunc(a.Roots, func(r verify.AcceptedRoot) bool { return r.Root == root }):
			return "imported", true, nil
		case slices.ContainsFunc(status.Pending, func(p unpack.PendingStatus) bool { return p.Name == name }):
			return "waits for volumes", false, nil
		case a.Stream == of.Stream && of.Sequence < a.Sequence:
			return fmt.Sprintf("not imported, %d was", a.Sequence), false, nil
		}
		return "not imported", false, nil
	}, nil
}

// ask judges one bundle: it is needless if every side that is named proves it.
func ask(b *tidy.Bundle, mirror, connected Side) (*carried, error) {
	one := &carried{Name: b.Name, Root: b.Root, Bytes: b.Bytes(), Dirs: b.Dirs, bundle: b}
	m := b.Manifest
	if m == nil {
		if errors.Is(b.Err, bundle.ErrIncomplete) {
			one.Problem = "no " + bundle.RootName + " at hand: not finished, or taken out before the export ended"
			return one, nil
		}
		one.Problem = b.Err.Error()
		return one, b.Err
	}
	one.Stream, one.Full, one.For, one.Created = m.Stream, m.Full, m.Destination, m.Created
	if m.Base != nil {
		one.Base = m.Base.Sequence
	}
	one.Needless = mirror.Named || connected.Named
	for _, side := range []struct {
		Side
		state *string
	}{{mirror, &one.Mirror}, {connected, &one.Exporter}} {
		if side.Witness == nil {
			continue
		}
		state, proven, err := side.Witness(m, b.Root)
		if err != nil {
			one.Needless = false
			return one, err
		}
		*side.state = state
		one.Needless = one.Needless && (proven || !side.Named)
	}
	return one, nil
}

// removeNeedless removes what is proven not to be needed, after a person said yes.
func removeNeedless(c *cli.Context, o *Output, all []*carried) error {
	var names []string
	var bytes int64
	for _, one := range all {
		if one.Needless {
			names, bytes = append(names, one.Name), bytes+one.Bytes
		}
	}
	if len(names) == 0 || c.Bool("dry-run") {
		return nil
	}
	if !c.Bool("yes") {
		answer, ok, err := Ask(c, o, fmt.Sprintf("To be removed from the media: %s (%s). Type yes: ", strings.Join(names, ", "), HumanBytes(bytes)))
		if err != nil {
			return err
		}
		if !ok {
			return &UsageError{"media: no terminal to ask on before bundles are removed", "look at it with --dry-run, then add --yes"}
		}
		if answer != "yes" {
			o.Note("nothing was removed")
			return nil
		}
	}
	var findings []error
	for _, one := range all {
		if !one.Needless {
			continue
		}
		left, err := one.bundle.Remove(c.Context)
		one.Left, one.Removed = left, err == nil
		findings = append(findings, err)
	}
	return errors.Join(findings...)
}

func writeMedia(w io.Writer, c *cli.Context, all []*carried) {
	if len(all) == 0 {
		fmt.Fprintln(w, "no bundle there")
		return
	}
	rows := [][]string{{"BUNDLE", "KIND", "FOR", "CREATED", "BYTES", "MIRROR", "DESTINATION", "STORED IN"}}
	for _, one := range all {
		kind, created := "full", HumanTime(one.Created)
		if one.Base > 0 {
			kind = fmt.Sprintf("delta on %d", one.Base)
		}
		if one.bundle.Manifest == nil {
			kind, created = "unknown", "-"
		}
		var dirs []string
		for _, d := range one.Dirs {
			dirs = append(dirs, d.Path)
		}
		rows = append(rows, []string{one.Name, kind, FirstOf(one.For, "-"), created, HumanBytes(one.Bytes),
			FirstOf(one.Mirror, "-"), FirstOf(one.Exporter, "-"), strings.Join(dirs, ", ")})
	}
	WriteTable(w, rows)
	for _, one := range all {
		if one.Problem != "" {
			fmt.Fprintf(w, "%s: %s\n", one.Name, one.Problem)
		}
		for _, d := range one.Dirs {
			if len(d.Strange) > 0 {
				fmt.Fprintf(w, "%s: %s in it: %s\n", d.Path, bundle.Count(len(d.Strange), "other thing"), strings.Join(d.Strange[:min(len(d.Strange), 5)], ", "))
			}
		}
		switch {
		case !c.Bool("tidy") || !one.Needless:
		case one.Removed && len(one.Left) == 0:
			fmt.Fprintf(w, "removed %s, %s\n", one.Name, HumanBytes(one.Bytes))
		case one.Removed:
			fmt.Fprintf(w, "removed %s, but for what is not its own: %s\n", one.Name, strings.Join(one.Left, ", "))
		case c.Bool("dry-run"):
			fmt.Fprintf(w, "%sremoved %s, %s\n", WouldBe(c), one.Name, HumanBytes(one.Bytes))
		}
	}
}
