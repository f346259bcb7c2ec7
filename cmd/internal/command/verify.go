package command

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// VerifyCommand returns the command gapbundle verify.
func VerifyCommand() *cli.Command {
	return Leaf(&cli.Command{
		Name: "verify", Usage: "check bundles completely; changes nothing", ArgsUsage: "PATH...",
		Description: `Checks signatures, every list, and every byte of every volume, against the keys given
with --pub or the policy of a mirror, and reports what was checked, how much of it, and
who signed it. Without a mirror, content that a delta leaves out is reported as not
checked. With a mirror, what an import would add, change and remove there is printed
by name.`,
		UsageText: `gapbundle verify /media/usb --pub exporter.pub
gapbundle verify /media/usb --mirror /srv/mirror --report report.txt`,
		Flags: []cli.Flag{
			List("pub", "exporter's public key `FILE`"),
			Text("mirror", "check as an import into this mirror would: its `DIR`"),
			Text("report", "write the report for the auditor to `FILE`"),
			ChangesFlag(), JobsFlag(),
		},
	}, verifyBundles)
}

func verifyBundles(c *cli.Context, o *Output) error {
	options, mirror, err := verifyOptions(c, o)
	if mirror != nil {
		defer mirror.Close()
	}
	if err != nil {
		return err
	}
	readers, err := bundle.Discover(c.Args().Slice())
	if err != nil {
		return err
	}
	p := o.StartProgress()
	defer p.Stop()
	var reports []*verify.Report
	var found []error
	var good []*verify.Bundle // what they bring counts for the next ones
	for _, r := range readers {
		if mirror != nil {
			options.Receiver = mirror.Receiver(good...)
		}
		b, report, err := verifyOne(c, p, r, options, mirror)
		if report != nil {
			reports = append(reports, report)
		}
		if err == nil {
			good = append(good, b)
		}
		found = append(found, err)
	}
	changes, err := changesOfBundles(c, mirror, good)
	found = append(found, err)
	for _, b := range good {
		found = append(found, b.Close())
	}
	for _, r := range readers {
		found = append(found, r.Close())
	}
	p.Stop()
	if path := c.String("report"); path != "" {
		found = append(found, writeReports(path, reports))
	}
	o.Show(verified{reports, changes}, func(w io.Writer) {
		for _, r := range reports {
			_ = r.WriteText(w)
		}
		WriteChanges(w, changes...)
	})
	return errors.Join(found...)
}

// verified is the result of verify.
type verified struct {
	Bundles []*verify.Report `json:"bundles"`
	// Names are, for each set, what an import into the mirror would change by name.
	Names []*contents.Summary `json:"names,omitempty"`
}

// changesOfBundles finds by name what the newest good bundle of each set would change in
// the mirror. Without a mirror there is nothing to compare with.
func changesOfBundles(c *cli.Context, mirror *unpack.Mirror, good []*verify.Bundle) ([]*contents.Summary, error) {
	newest := map[string]*verify.Bundle{}
	for _, b := range good { // by set and number
		if !b.Known() {
			newest[b.Manifest().Set] = b
		}
	}
	if mirror == nil || len(newest) == 0 {
		return nil, nil
	}
	var all []*contents.Summary
	for _, set := range slices.Sorted(maps.Keys(newest)) {
		s, err := mirror.Names().Brings(c.Context, newest[set], ChangesOf(c))
		if err != nil {
			return nil, err
		}
		if s != nil {
			all = append(all, s)
		}
	}
	return all, nil
}

func verifyOne(c *cli.Context, p *Progress, r *bundle.Reader, options verify.Options, mirror *unpack.Mirror) (*verify.Bundle, *verify.Report, error) {
	b, report, err := verify.Open(c.Context, r, options)
	if err != nil {
		return nil, report, err
	}
	return b, b.Report(), unpack.Examine(c.Context, b, mirror, verify.StreamOptions{Jobs: c.Int("jobs"), Progress: p})
}

// verifyOptions returns the rules: the keys of --pub, or the policy of a mirror,
// which the caller closes.
func verifyOptions(c *cli.Context, o *Output) (verify.Options, *unpack.Mirror, error) {
	options := verify.Options{Now: time.Now(), CheckKnown: true, Describe: unpack.DescribeKey}
	pubs, mirror := c.StringSlice("pub"), c.String("mirror")
	if (len(pubs) > 0) == (mirror != "") {
		what := "verify: neither --pub nor --mirror given"
		if mirror != "" {
			what = "verify: both --pub and --mirror given"
		}
		return options, nil, &UsageError{what, "say by whose keys: --pub exporter.pub, or --mirror DIR"}
	}
	if mirror != "" {
		o.mirror = mirror
		m, err := unpack.Open(mirror, mirrorOptions(c, o, bundle.NoProgress))
		if err != nil {
			return options, nil, err
		}
		options.Policy, err = m.Trust().Policy()
		return options, m, err
	}
	options.Policy = &verify.Policy{}
	options.AcceptKeys = true
	for _, path := range pubs {
		pem, id, err := pubkeys.Load(path)
		if err != nil {
			return options, nil, err
		}
		if err := options.Policy.Add(verify.Key{Role: verify.RoleExporter, Set: verify.AnySet, ID: id, PEM: string(pem), Added: options.Now}); err != nil {
			return options, nil, err
		}
	}
	return options, nil, nil
}

// writeReports writes the reports to a new file; a report that an
// auditor has is never overwritten.
func writeReports(path string, reports []*verify.Report) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, r := range reports {
		if err := r.WriteText(&plainWriter{w: f}); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}
