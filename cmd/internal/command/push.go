package command

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/push"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/unpack"
)

// PushCommand returns the command gapbundle push.
func PushCommand() *cli.Command {
	return Leaf(&cli.Command{
		Name: "push", Usage: "copy the published images into a registry that the site runs", ArgsUsage: "MIRROR",
		Description: `Manifests, tags, signatures and referrers keep their digests, and only what is
missing there is sent. The image docker.io/library/alpine becomes
HOST/PREFIX/library/alpine, with --scoped HOST/PREFIX/docker.io/library/alpine. Logins are
those of docker, podman and skopeo: "docker login HOST" before. Nothing is deleted.`,
		UsageText: `gapbundle push /srv/mirror --registry harbor.lan/mirror
gapbundle push /srv/mirror --registry registry.lan:5000 --ca ca.pem --scoped
gapbundle push /srv/mirror --registry quay.lan/ops --image 'nvidia/*' --dry-run`,
		Flags: []cli.Flag{
			Needed("registry", "`HOST[/PREFIX]` of the registry, without a scheme; HOST may have a port"),
			Toggle("scoped", "keep the original registry's host in the names"),
			List("set", "only images of the set `NAME`"),
			List("image", "only images whose name matches `PATTERN`, with or without the original host, or its last part"),
			Text("ca", "PEM `FILE` of an authority that is trusted in addition to the system's"),
			List("token-service", "`HOST` of a token service that the registry may send its login to, in addition to its own host"),
			Toggle("plain-http", "connect to the registry without TLS, and send it the login in the clear"),
			Toggle("dry-run", "check what the registry lacks, and send nothing"),
			&cli.IntFlag{Name: "jobs", Aliases: []string{"j"}, Usage: "`N` requests at once; 0: 4"},
		},
	}, pushImages)
}

// registryFlag takes HOST[/PREFIX] apart. A login in it is refused and not repeated.
func registryFlag(text string) (host, prefix string, err error) {
	if strings.Contains(text, "@") {
		return "", "", &UsageError{"registry: has a user name or a password in it, which is not shown here",
			"name the host alone, and log in with docker login or podman login"}
	}
	host, prefix, _ = strings.Cut(strings.TrimSuffix(text, "/"), "/")
	if _, _, err := registry.SplitName(host + "/" + FirstOf(prefix, "x")); err != nil {
		return "", "", &UsageError{fmt.Sprintf("registry %q: not HOST[/PREFIX]", text),
			"name it without a scheme, in lower case, as in registry.lan:5000 or harbor.lan/mirror"}
	}
	return host, prefix, nil
}

func pushImages(c *cli.Context, o *Output) error {
	host, prefix, err := registryFlag(c.String("registry"))
	if err != nil {
		return err
	}
	p := o.StartProgress()
	defer p.Stop()
	m, err := unpack.Open(c.Args().First(), mirrorOptions(c, o, p))
	if err != nil {
		return err
	}
	defer m.Close()
	published, err := publishedImages(m, c.StringSlice("set"))
	if err != nil {
		return err
	}
	to, closeClient, err := registryClient(c, o, host)
	if err != nil {
		return err
	}
	defer closeClient()
	report, err := push.Run(c.Context, published, to, push.Options{
		Registry: host, Prefix: prefix, Scoped: c.Bool("scoped"), Images: c.StringSlice("image"),
		DryRun: c.Bool("dry-run"), Jobs: c.Int("jobs"), Progress: p,
	})
	p.Stop()
	if report != nil && (err == nil || !o.json) {
		o.Show(report, func(w io.Writer) { writePush(w, c, report) })
	}
	return err
}

// publishedImages returns the repositories of the sets that are requested.
func publishedImages(m *unpack.Mirror, sets []string) (push.Published, error) {
	tree, err := m.Tree("")
	if err != nil {
		return push.Published{}, err
	}
	repos := tree.Repositories()
	for _, set := range sets {
		if !slices.ContainsFunc(repos, func(r bundle.Repository) bool { return tree.Set(r.Name) == set }) {
			return push.Published{}, fmt.Errorf("set %q: not published: %w", set, bundle.ErrUsage)
		}
	}
	if len(sets) > 0 {
		repos = slices.DeleteFunc(slices.Clone(repos), func(r bundle.Repository) bool { return !slices.Contains(sets, tree.Set(r.Name)) })
	}
	return push.Published{Tree: tree, Repositories: repos}, nil
}

func registryClient(c *cli.Context, o *Output, host string) (*registry.Client, func(), error) {
	client, err := fetch.New(fetch.Options{
		Hosts: map[string]fetch.HostOptions{host: {CA: c.String("ca"), Parallel: c.Int("jobs"), TokenService: c.StringSlice("token-service")}}, UserAgent: "gapbundle/" + toolVersion(), Log: o.Log,
	})
	if err != nil {
		return nil, nil, err
	}
	options := registry.Options{Log: o.Log}
	if c.Bool("plain-http") {
		options.PlainHTTP = []string{host}
	}
	to, err := registry.New(client, options)
	return to, client.Close, err
}

func writePush(w io.Writer, c *cli.Context, r *push.Report) {
	for _, i := range r.Images {
		state := "complete"
		switch {
		case !i.Complete:
			state = "NOT COMPLETE"
		case i.Manifests+i.Tags+i.Blobs+i.Mounted == 0:
			state = "nothing missing"
		}
		fmt.Fprintf(w, "%s: %s\n", i.Target, state)
		if len(i.Moved) > 0 {
			fmt.Fprintf(w, "  tags that pointed to something else: %s\n", strings.Join(i.Moved, ", "))
		}
	}
	fmt.Fprintf(w, "%s%s to %s: %s (%s), %d mounted, %s, %s; there before: %d\n",
		WouldBe(c), bundle.Count(len(r.Images), "image"), r.Registry, bundle.Count(r.Blobs, "blob"), HumanBytes(r.Bytes), r.Mounted, bundle.Count(r.Manifests, "manifest"), bundle.Count(r.Tags, "tag"), r.Present)
}

// pushHint returns what to do about a refusal of package push.
func pushHint(err error) string {
	var clash *push.ClashError
	var sparse *push.SparseError
	var there *push.RegistryError
	var redirect *fetch.RedirectError
	var status *fetch.StatusError
	switch {
	case errors.As(err, &clash):
		return "keep the original registries in the names with --scoped, or choose with --image"
	case errors.As(err, &sparse):
		return "everything else of the image was pushed; export it with all platforms, or let the registry take indexes without them (distribution 3: validation: manifests: indexes: platforms: none)"
	case !errors.As(err, &there):
		return ""
	case errors.As(err, &redirect) && redirect.TokenService:
		return fmt.Sprintf("if that host may have the registry's login: --token-service %s", bareHost(redirect.To))
	case errors.As(err, &status) && status.Status == 401:
		return fmt.Sprintf("log in with an account that may push: docker login %s, podman login %s or skopeo login %s, then repeat the command", there.Registry, there.Registry, there.Registry)
	case errors.As(err, &status) && status.Status == 403:
		return "this account may not push there, or the project does not exist or is full: look at its rights and quota in the registry"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "the registry speaks without TLS; if that is meant to be so, --plain-http"
	case errors.As(err, new(*registry.AnswerError)) && strings.Contains(err.Error(), "http://"):
		return "if the registry speaks TLS, leave out --plain-http; if not, look into its log"
	case errors.Is(err, fetch.ErrConfig):
		return "correct what is named: the file of logins, its helper, or the authority's file"
	case errors.Is(err, fetch.ErrRefused):
		return "an authority of your own is named with --ca FILE"
	case errors.Is(err, fetch.ErrUpstream):
		return "look into the registry's log, then repeat the command: what has arrived is not sent again"
	}
	return ""
}
