package command

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// TrustCommand returns the command gapbundle trust.
func TrustCommand() *cli.Command {
	changing := func(more ...cli.Flag) []cli.Flag {
		return append(append([]cli.Flag{mirrorFlag()}, more...), DryRunFlag(), RetryLockFlag())
	}
	return &cli.Command{
		Name:     "trust",
		Usage:    "show or change whom the mirror trusts: the importing side's policy",
		HideHelp: true,
		UsageText: `gapbundle trust add --mirror /srv/mirror --role exporter --set slurm-site exporter.pub
gapbundle trust list --mirror /srv/mirror`,
		Subcommands: []*cli.Command{
			Leaf(&cli.Command{
				Name: "add", Usage: "trust a key, after its fingerprint was compared", ArgsUsage: "FILE",
				Description: `FILE is a public key in PEM for the roles exporter and approver, which sign bundles,
and for the roles site and upstream, which clients inside have to trust, an OpenPGP
key or a whole keyring. The mirror's folder is created if missing. On a terminal the
fingerprint is shown, or each key of a keyring, and you are asked once. --fingerprint
adds only that key of a keyring. --mount and --host limit what an exporter's key may
own; without them, it may own whatever no other set has.`,
				UsageText: `gapbundle trust add --mirror /srv/mirror --role exporter --set slurm-site exporter.pub
gapbundle trust add --mirror /srv/mirror --role exporter --set slurm-site --mount 'apt/*' --mount files/download.schedmd.com exporter.pub
gapbundle trust add --mirror /srv/mirror --role upstream --set slurm-site /usr/share/keyrings/debian-archive-keyring.gpg`,
				Flags: changing(append(ConfirmFlags(), Needed("set", "the `NAME` of the set, or the word any"), mountsFlag(), hostsFlag(), newGroupFlag(),
					Toggle("allow-weak-key", "role upstream: add the key although it is weak (RSA below 2048 bits)"),
					&cli.GenericFlag{Name: "role", Usage: "`ROLE` of the key", Required: true,
						Value: &Choice{Of: []string{string(verify.RoleExporter), string(verify.RoleApprover), string(verify.RoleSite), string(verify.RoleUpstream)}}})...),
			}, trustAdd),
			Leaf(&cli.Command{
				Name: "require", Usage: "set how many keys of a role must have signed a bundle", ArgsUsage: "ROLE=N...",
				Description: `ROLE is exporter or approver. To need two people, require one of each: one person may
hold two exporter keys.`,
				UsageText: "gapbundle trust require exporter=1 approver=1 --mirror /srv/mirror",
				Flags:     changing(),
			}, trustRequire),
			Leaf(&cli.Command{
				Name: "list", Usage: "print the trusted keys and the required numbers of signatures",
				UsageText: "gapbundle trust list --mirror /srv/mirror --json",
				Flags:     []cli.Flag{mirrorFlag()},
			}, trustList),
			Leaf(&cli.Command{
				Name: "remove", Usage: "stop trusting a key", ArgsUsage: "FINGERPRINT",
				Description: `Nothing that this key signed is imported from now on. Prints the sets that were
published under the key, with their generations: their content stays published until
another bundle, gapbundle rollback or gapbundle forget replaces it.`,
				UsageText: "gapbundle trust remove 3fc9b689459d --mirror /srv/mirror",
				Flags:     changing(),
			}, trustRemove),
			Leaf(&cli.Command{
				Name: "set-mounts", Usage: "set what an exporter's key may own, from the next bundle on", ArgsUsage: "KEY [PATTERN]...",
				Description: `PATTERN is a web path without its first slash, compared by whole components; * stands
for exactly one, and everything below belongs to it: 'apt/*', v2/nvcr.io,
git/github.com/NVIDIA. The patterns replace those that the key had; the word any
removes them, so that the key may own whatever no other set has. Content of the set
outside of the new patterns stays published, and status lists it.`,
				UsageText: "gapbundle trust set-mounts 3fc9b689459d 'apt/*' v2/nvcr.io --mirror /srv/mirror",
				Flags:     changing(Text("set", "only for this set, where the key has several: its `NAME`"), hostsFlag()),
			}, trustSetMounts),
			Leaf(&cli.Command{
				Name: "give", Usage: "hand a path or a mount over to a set", ArgsUsage: "PATH SET",
				Description: `PATH is a web path without its first slash. What another set publishes there stays
until the next bundle of SET is imported; bundles of other sets that have something
there are refused from now on.`,
				UsageText: "gapbundle trust give v2/registry.k8s.io/pause k8s-site --mirror /srv/mirror",
				Flags:     changing(),
			}, trustGive),
			Leaf(&cli.Command{
				Name: "adopt", Usage: "bind a set to another stream, whose numbers begin again", ArgsUsage: "STREAM",
				Description: `An exporter that lost its state begins a new stream. Its bundles are refused until
the stream is adopted here; ask the other side for the stream by a second channel.`,
				UsageText: "gapbundle trust adopt --mirror /srv/mirror --set slurm-site 00112233445566778899aabbccddeeff",
				Flags:     changing(Needed("set", "the `NAME` of the set, or the word any")),
			}, trustAdopt),
			Leaf(&cli.Command{
				Name: "set-time", Usage: "set the earliest date that the mirror accepts as now", ArgsUsage: "TIME",
				Description: "TIME is in the form of RFC 3339, or the word now.",
				UsageText:   "gapbundle trust set-time 2027-01-31T12:00:00Z --mirror /srv/mirror",
				Flags:       changing(),
			}, trustSetTime),
		},
	}
}

// updatePolicy changes the policy of the command's mirror and prints that.
func updatePolicy(c *cli.Context, o *Output, what string, change func(*verify.Policy) error) error {
	return withMirror(c, o, c.String("mirror"), func(m *unpack.Mirror) error {
		return m.Trust().Update(c.Context, what, change)
	}, what)
}

func trustAdd(c *cli.Context, o *Output) error {
	o.mirror = c.String("mirror")
	role, set, file := verify.Role(ValueOf[*Choice](c, "role").value), c.String("set"), c.Args().First()
	if role != verify.RoleExporter && (patterns(c, "mount") != nil || patterns(c, "host") != nil) {
		return &UsageError{fmt.Sprintf("role %s: owns nothing in the mirror", role), "--mount and --host are for the role exporter"}
	}
	if err := verify.CheckSet(set); err != nil { // before a person compares fingerprints
		return err
	}
	if role == verify.RoleSite || role == verify.RoleUpstream {
		return trustKeyring(c, o, role, set, file)
	}
	pem, id, err := pubkeys.Load(file)
	if err != nil {
		return err
	}
	if err := ConfirmFingerprint(c, o, fmt.Sprintf("%s: %s key for set %s", file, role, set), id.String()); err != nil {
		return err
	}
	return addTrust(c, o, fmt.Sprintf("add %s %s for %s", role, id, set)+given(patterns(c, "mount"), patterns(c, "host")), func(p *verify.Policy) error {
		return p.Add(verify.Key{Role: role, Set: set, ID: id, PEM: string(pem), Added: time.Now(), Mounts: patterns(c, "mount"), Hosts: patterns(c, "host")})
	})
}

// addTrust adds to the policy of a mirror, which is made if it is not there.
func addTrust(c *cli.Context, o *Output, done string, add func(*verify.Policy) error) error {
	if err := makeMirror(c, o, c.String("mirror")); errors.Is(err, bundle.ErrIncomplete) && c.Bool("dry-run") {
		showChange(c, o, done) // the mirror would be made
		return nil
	} else if err != nil {
		return err
	}
	return updatePolicy(c, o, done, add)
}

func trustRequire(c *cli.Context, o *Output) error {
	return updatePolicy(c, o, "require "+strings.Join(c.Args().Slice(), " "), func(p *verify.Policy) error {
		for _, arg := range c.Args().Slice() {
			role, count, _ := strings.Cut(arg, "=")
			n, err := strconv.Atoi(count)
			if err != nil {
				return &UsageError{fmt.Sprintf("requirement %q: no number", arg), "want ROLE=N, as in exporter=1 approver=1"}
			}
			if err := p.SetRequire(verify.Role(role), n); err != nil {
				return err
			}
		}
		return nil
	})
}

func trustRemove(c *cli.Context, o *Output) error {
	m, err := unpack.Open(c.String("mirror"), mirrorOptions(c, o, bundle.NoProgress))
	if err != nil {
		return err
	}
	defer m.Close()
	id := ""
	err = m.Trust().Update(c.Context, "remove "+c.Args().First(), func(p *verify.Policy) (err error) {
		id, err = p.Remove(c.Args().First())
		return err
	})
	if err != nil {
		return err
	}
	under, err := unpack.PublishedUnder(m, id)
	if err != nil {
		return err
	}
	done := "remove " + id
	o.Show(map[string]any{"done": done, "dryRun": c.Bool("dry-run"), "published": under}, func(w io.Writer) {
		fmt.Fprintf(w, "%s%s\n", WouldBe(c), done)
		for _, u := range under {
			now := "not any more"
			if u.Current {
				now = "still; gapbundle rollback --withdraw or gapbundle forget takes it away"
			}
			fmt.Fprintf(w, "published under this key: set %s in generations %s (%s)\n", u.Set, numbers(u.Generations), now)
		}
	})
	return nil
}

func numbers(all []int) string {
	var words []string
	for _, n := range all {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, ", ")
}

func mountsFlag() cli.Flag {
	return List("mount", "`PATTERN` of web paths that the set may own; * is one component; default: what no other set has")
}

func hostsFlag() cli.Flag {
	return List("host", "public `NAME` that the set may answer for, or *.NAME; default: any")
}

// patterns returns the values of a flag, nil where it was not given.
func patterns(c *cli.Context, name string) []string {
	if !c.IsSet(name) {
		return nil
	}
	return c.StringSlice(name)
}

// given reports, for the journal, what a key was given.
func given(mounts, hosts []string) string {
	text := ""
	if mounts != nil {
		text += ", mounts " + strings.Join(mounts, " ")
	}
	if hosts != nil {
		text += ", hosts " + strings.Join(hosts, " ")
	}
	return text
}

func trustSetMounts(c *cli.Context, o *Output) error {
	key, mounts, hosts := c.Args().First(), c.Args().Tail(), patterns(c, "host")
	done := "set mounts of " + key + given(mounts, hosts)
	switch {
	case len(mounts) == 0 && hosts == nil:
		return &UsageError{"gapbundle trust set-mounts: no PATTERN given", "name what the key may own, or the word any for what no other set has"}
	case len(mounts) == 0:
		mounts, done = nil, "set hosts of "+key+given(nil, hosts) // the mounts stay
	case slices.Equal(mounts, []string{verify.AnySet}):
		mounts = []string{}
	}
	return updatePolicy(c, o, done, func(p *verify.Policy) error {
		return p.SetPatterns(key, c.String("set"), mounts, hosts)
	})
}

func trustGive(c *cli.Context, o *Output) error {
	path, set := c.Args().Get(0), c.Args().Get(1)
	return withMirror(c, o, c.String("mirror"), func(m *unpack.Mirror) error {
		return m.Trust().Give(c.Context, path, set)
	}, fmt.Sprintf("give %s to set %s", path, set))
}

func trustAdopt(c *cli.Context, o *Output) error {
	set, stream := c.String("set"), c.Args().First()
	return withMirror(c, o, c.String("mirror"), func(m *unpack.Mirror) error {
		return m.Trust().AdoptStream(c.Context, set, stream)
	}, fmt.Sprintf("adopt stream %s for set %s", stream, set))
}

func trustSetTime(c *cli.Context, o *Output) error {
	t := time.Now().UTC()
	if arg := c.Args().First(); arg != "now" {
		var err error
		if t, err = time.Parse(time.RFC3339, arg); err != nil {
			return &UsageError{fmt.Sprintf("time %q: not in the form of RFC 3339", arg), "as in 2027-01-31T12:00:00Z, or the word now"}
		}
	}
	return withMirror(c, o, c.String("mirror"), func(m *unpack.Mirror) error {
		return m.Trust().SetTime(c.Context, t)
	}, "set time "+t.Format(time.RFC3339))
}

func trustList(c *cli.Context, o *Output) error {
	m, err := unpack.Open(c.String("mirror"), mirrorOptions(c, o, bundle.NoProgress))
	if err != nil {
		return err
	}
	defer m.Close()
	policy, err := m.Trust().Policy()
	if err != nil {
		return err
	}
	g, err := m.Current()
	if err != nil && !errors.Is(err, bundle.ErrIncomplete) {
		return err
	}
	o.Show(policy, func(w io.Writer) {
		writePolicy(w, policy)
		if g != nil && len(g.Sets) > 1 {
			writeUnbounded(w, policy.Unbounded(), m.Dir())
		}
	})
	return nil
}

// writeUnbounded names keys that may take whatever no other set has, in a mirror with
// several sets.
func writeUnbounded(w io.Writer, keys []verify.Key, mirror string) {
	for _, k := range keys {
		fmt.Fprintf(w, "key %s of set %s has no patterns and may take any path that no other set has (gapbundle trust set-mounts %s PATTERN... --mirror %s)\n",
			k.ID.Short(), k.Set, k.ID.Short(), mirror)
	}
}

func writePolicy(w io.Writer, p *verify.Policy) {
	rows := [][]string{{"ROLE", "SET", "ADDED", "FINGERPRINT", "MAY OWN"}}
	for _, k := range p.Keys {
		may := ""
		if k.Role == verify.RoleExporter {
			may = FirstOf(strings.Join(k.Mounts, " "), "what no other set has")
		}
		if len(k.Hosts) > 0 {
			may += "; answers for " + strings.Join(k.Hosts, " ")
		}
		rows = append(rows, []string{string(k.Role), k.Set, HumanTime(k.Added), k.ID.String(), may})
	}
	for _, k := range p.OpenPGP {
		rows = append(rows, []string{string(k.Role), k.Set, HumanTime(k.Added), k.Fingerprint, ""})
	}
	WriteTable(w, rows)
	fmt.Fprintf(w, "required signatures: exporter %d, approver %d\n", p.Required(verify.RoleExporter), p.Required(verify.RoleApprover))
}
