package command

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack"
)

func mirrorRepair(c *cli.Context, o *Output, m *unpack.Mirror) error {
	return repairMirror(c, o, m, c.Args().Slice()[1:])
}

// repairMirror repairs what is damaged, with the bundles in paths.
func repairMirror(c *cli.Context, o *Output, m *unpack.Mirror, paths []string) error {
	r, err := unpack.Repair(c.Context, m, paths)
	if r != nil {
		o.Show(r, func(w io.Writer) { writeRepair(w, c, r) })
	}
	return err
}

// noteDamage reports what a check found, before it is repaired.
func noteDamage(o *Output, found *unpack.CheckResult) {
	o.Note("generation %d: %d damaged; repairing it", found.Generation, int64(len(found.Damage))+found.More)
}

// maxShown is how many lines of one kind a repair prints.
const maxShown = 20

func writeRepair(w io.Writer, c *cli.Context, r *unpack.RepairResult) {
	fmt.Fprintf(w, "read again: %s, %s, %s; damaged: %s, %s\n", bundle.Count(r.Lists, "list"), bundle.Count(r.Blobs, "blob"), HumanBytes(r.Bytes), bundle.Count(r.BadLists, "list"), bundle.Count(r.BadBlobs, "blob"))
	if r.NewLists+r.NewBlobs+r.Rescued > 0 {
		fmt.Fprintf(w, "%srepaired: %s and %s from bundles, %s from published names\n", WouldBe(c), bundle.Count(r.NewLists, "list"), bundle.Count(r.NewBlobs, "blob"), bundle.Count(r.Rescued, "blob"))
	}
	for _, d := range r.Mended[:min(maxShown, len(r.Mended))] {
		fmt.Fprintf(w, "  repaired: /%s (%s)\n", d.Path, d.Problem)
	}
	if more := int64(len(r.Mended)-min(maxShown, len(r.Mended))) + r.More; more > 0 {
		fmt.Fprintf(w, "  repaired: %s\n", bundle.Count(more, "more name"))
	}
	if r.Generation > 0 {
		fmt.Fprintf(w, "published generation %d: the same sets, with what a publish makes itself made again\n", r.Generation)
	}
	for _, b := range r.Missing[:min(maxShown, len(r.Missing))] {
		fmt.Fprintf(w, "  MISSING: %s\n", missingText(b))
	}
	if more := int64(len(r.Missing)-min(maxShown, len(r.Missing))) + r.MoreMissing; more > 0 {
		fmt.Fprintf(w, "  MISSING: %d more; --json names them\n", more)
	}
	for _, d := range r.Left {
		fmt.Fprintf(w, "  LEFT: %s\n", damageText(d))
	}
	for _, q := range r.Requests {
		fmt.Fprintf(w, "request for the connected side: %s (%d of set %s)\n", q.Path, q.Asked, q.Set)
	}
	WriteNotes(w, r.Notes)
}

// missingText returns what is known of a blob that was not found.
func missingText(b unpack.MissingBlob) string {
	what := "blob"
	if b.List {
		what = "list"
	}
	text := fmt.Sprintf("%s %s, %s", what, b.Digest, HumanBytes(b.Size))
	for _, p := range b.Paths {
		text += ", /" + p
	}
	if b.More > 0 {
		text += fmt.Sprintf(" and %d more", b.More)
	}
	var bundles []string
	for _, n := range b.Bundles {
		bundles = append(bundles, bundle.DirName(b.Set, n))
	}
	switch len(bundles) {
	case 0:
		return text + "; of set " + b.Set
	case 1:
		return text + "; is in " + bundles[0]
	}
	return text + "; is in one of " + strings.Join(bundles, ", ")
}

// missingHint returns how to get what was not found.
func missingHint(e *unpack.MissingError, mirror string) string {
	bring := fmt.Sprintf("bring one of the bundles that are named and repeat: gapbundle repair %s PATH...", mirror)
	full := len(e.Requests) == 0
	for _, q := range e.Requests {
		full = full || q.Full
	}
	if full {
		return bring + "; or ask the connected side for a full bundle: gapbundle export SPEC --full"
	}
	return fmt.Sprintf("%s; or carry the request to the connected side: gapbundle export SPEC --repair %s, and import what it makes", bring, e.Requests[0].Path)
}

// damageText returns what a check found at one place.
func damageText(d unpack.Damage) string {
	text := d.Problem
	if d.Path != "" {
		text = "/" + d.Path + ": " + text
	}
	if d.Set != "" {
		text += " (set " + d.Set + ", " + d.Repository + ")"
	}
	return text
}
