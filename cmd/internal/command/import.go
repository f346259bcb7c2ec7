package command

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// ImportCommand returns the command gapbundle import.
func ImportCommand() *cli.Command {
	return Leaf(&cli.Command{
		Name: "import", Usage: "check bundles and publish them in a mirror", ArgsUsage: "PATH...",
		Description: `PATH is a bundle, or a folder (a mounted stick) that holds some. Every byte is
checked before anything is published; a medium is read once and never written.
Volumes may come in any order, in one run or in many. A signed receipt is left in
the mirror, to be carried back.`,
		UsageText: `gapbundle import /media/usb --to /srv/mirror
gapbundle import /media/usb /media/disc2 --to /srv/mirror --base-url https://mirror.lan`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "the `MIRROR`; the last directory is created if missing", Required: true, EnvVars: []string{"GAPBUNDLE_MIRROR"}},
			Text("base-url", "`URL` at which clients reach the mirror; goes into the client files"),
			Parsed("accept-keys", "let a bundle publish OpenPGP keys that the policy does not hold (recorded): with =`BUNDLE`, its folder or number; alone, the only new one at hand", new(whichBundle)),
			Parsed("allow-rollback", "accept a bundle that is older than the last accepted one (recorded): `BUNDLE` as above", new(whichBundle)),
			Parsed("accept-expired", "accept a bundle that is past its expiry (recorded): `BUNDLE` as above", new(whichBundle)),
			newGroupFlag(), ChangesFlag(), JobsFlag(), DryRunFlag(), RetryLockFlag(),
		},
	}, importBundles)
}

func importBundles(c *cli.Context, o *Output) error {
	o.mirror = c.String("to")
	p := o.StartProgress()
	defer p.Stop()
	m, err := createMirror(c, o, c.String("to"), p)
	if err != nil {
		return err
	}
	defer m.Close()
	rollback, expired, keys := ValueOf[*whichBundle](c, "allow-rollback"), ValueOf[*whichBundle](c, "accept-expired"), ValueOf[*whichBundle](c, "accept-keys")
	options := unpack.ImportOptions{
		BaseURL: c.String("base-url"), AllowRollback: rollback.given, AcceptExpired: expired.given, AcceptKeys: keys.given,
		For:     unpack.For{Rollback: rollback.name, Expired: expired.name, Keys: keys.name},
		Changes: ChangesOf(c),
	}
	if TerminalOf(c.App.Reader) >= 0 {
		options.Confirm = func(name string, keys []verify.OfferedKey) (bool, error) { return confirmKeys(c, o, name, keys) }
	}
	result, err := m.Receive(c.Context, c.Args().Slice(), options)
	p.Stop()
	if result != nil {
		slices.SortStableFunc(result.Bundles, func(a, b unpack.BundleResult) int {
			return cmp.Or(cmp.Compare(a.Set, b.Set), cmp.Compare(a.Sequence, b.Sequence))
		})
		o.Show(result, func(w io.Writer) { writeImport(w, c, result, err) })
	}
	return err
}

// confirmKeys asks once about all OpenPGP keys that the first bundle of a set publishes.
func confirmKeys(c *cli.Context, o *Output, name string, keys []verify.OfferedKey) (bool, error) {
	question := "Bundle " + name + " publishes OpenPGP keys for clients that the mirror does not know yet:\n"
	for _, k := range keys {
		question += fmt.Sprintf("  %s  %s key, for source %s\n", k.Fingerprint, k.Role, strings.Join(k.Sources, ", "))
		if k.About != "" {
			question += "    " + k.About + "\n"
		} else {
			question += "    whose it is can be read when the medium with its file is at hand\n"
		}
	}
	question += "Names in a key prove nothing: compare fingerprints with what upstream publishes, or by a second channel.\n"
	answer, _, err := Ask(c, o, question+"Trust them for this set? Type yes: ")
	return answer == "yes", err
}

// Changes returns how people read counts of changes.
func Changes(c bundle.Changes) string {
	var parts []string
	for _, one := range []struct {
		n    int64
		what string
	}{{c.Added, "added"}, {c.Changed, "changed"}, {c.Removed, "removed"}} {
		if one.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", one.n, one.what))
		}
	}
	return "files: " + strings.Join(parts, ", ") + fmt.Sprintf(", of %d before", c.Before)
}

// writeImport prints what became of each bundle; why one was refused only where
// that is not the error of the command.
func writeImport(w io.Writer, c *cli.Context, r *unpack.Result, err error) {
	for _, b := range bundlesToShow(w, WouldBe(c), r.Bundles) {
		fmt.Fprintf(w, "%s%s: %s", WouldBe(c), b.Name, b.Outcome)
		for i, s := range b.Signers {
			sep := ", "
			if i == 0 {
				sep = ", signed by "
			}
			fmt.Fprintf(w, "%s%s %s", sep, s.Role, s.ID.Short())
		}
		if b.Reason != "" && (err == nil || b.Outcome == unpack.AlreadyImported) {
			fmt.Fprintf(w, " (%s)", b.Reason)
		}
		if len(b.Overrides) > 0 {
			fmt.Fprintf(w, ", OVERRIDES: %s", strings.Join(b.Overrides, ", "))
		}
		fmt.Fprintln(w)
		if len(b.MissingVolumes) > 0 {
			fmt.Fprintf(w, "  still to be brought: %s\n", strings.Join(b.MissingVolumes, ", "))
		}
		if b.Receipt != "" {
			fmt.Fprintf(w, "  receipt: %s\n", b.Receipt)
		}
	}
	if n := r.Need; n != nil && n.Inodes > 0 && c.Bool("dry-run") {
		fmt.Fprintf(w, "needs in the mirror up to %s, and %d of files and folders together; free: %s, %s\n", HumanBytes(n.Bytes), n.Inodes, orUnknown(n.FreeBytes, HumanBytes), orUnknown(n.FreeInodes, decimal))
	}
	if r.Generation > 0 {
		fmt.Fprintf(w, "%spublished generation %d: %s, %s; %s new\n", WouldBe(c), r.Generation, bundle.Count(r.Files, "file"), HumanBytes(r.Bytes), HumanBytes(r.NewBytes))
	}
	for _, change := range r.Changes {
		fmt.Fprintf(w, "  %s of set %s: %s\n", change.Repository, change.Set, Changes(change.Changes))
	}
	WriteChanges(w, r.Names...)
	if r.Unaddressed {
		fmt.Fprintf(w, "files for clients do not have the mirror's address yet: gapbundle config %[1]s --base-url URL puts it in, and gapbundle serve %[1]s fills in its own; gapbundle clients %[1]s lists them\n", c.String("to"))
	}
	writeUnbounded(w, r.Unbounded, c.String("to"))
	writeWaiting(w, r.Waiting)
	WriteNotes(w, r.Notes)
}

// bundlesToShow prints the old bundles of each set on one line together, as a stick
// collects them, and returns those that have a line of their own.
func bundlesToShow(w io.Writer, would string, all []unpack.BundleResult) (rest []unpack.BundleResult) {
	for len(all) > 0 {
		n := 1
		for n < len(all) && isOld(all[0]) && isOld(all[n]) && all[n].Set == all[0].Set && all[n].Outcome == all[0].Outcome {
			n++
		}
		if n < 2 {
			rest = append(rest, all[0])
		} else {
			fmt.Fprintf(w, "%s%s to %s: %s (%s)\n", would, all[0].Name, all[n-1].Name, all[0].Outcome, bundle.Count(n, "bundle"))
		}
		all = all[n:]
	}
	return rest
}

// isOld reports whether there is nothing more to report about a bundle than that it came before.
func isOld(b unpack.BundleResult) bool {
	return (b.Outcome == unpack.AlreadyImported || b.Outcome == unpack.Superseded) && len(b.Overrides) == 0 && len(b.MissingVolumes) == 0 && b.Reason == ""
}

func orUnknown(n int64, form func(int64) string) string {
	if n < 0 {
		return "not known"
	}
	return form(n)
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
