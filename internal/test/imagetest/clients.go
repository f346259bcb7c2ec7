package imagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	godigest "github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Pull is what a client is asked to do.
type Pull struct {
	// Server is the mirror's host and port.
	Server string
	// Name is an image's Name or Alias.
	Name string
	// Reference is a tag, or a digest.
	Reference string
	// Platform is os/architecture; "": all of them.
	Platform string
	// Config is what points containerd (a hosts folder) or podman (a
	// registries.conf) at the mirror; "": one that is made for Server.
	Config string
}

// Ref returns what most clients are given.
func (p Pull) Ref() string {
	if strings.Contains(p.Reference, ":") {
		return p.Server + "/" + p.Name + "@" + p.Reference
	}
	return p.Server + "/" + p.Name + ":" + p.Reference
}

// Client is a program that pulls images.
type Client struct {
	Name string
	// Pull takes everything that p names and returns the digests of the
	// manifests that the client holds afterwards, as the client reports it.
	Pull func(ctx context.Context, p Pull) ([]string, error)
	// OnePlatform: the client has no way to take all platforms at once.
	OnePlatform bool
	// NestedWhole: the client takes all of an index within an index;
	// NestedOne: one platform of it too.
	NestedWhole, NestedOne bool
}

// runner runs programs with a home and temporary folder of their own.
type runner struct {
	t   testing.TB
	dir string
	env []string
}

func newRunner(t testing.TB) *runner {
	dir := t.TempDir()
	env := []string{"HOME=" + dir, "TMPDIR=" + dir, "XDG_RUNTIME_DIR=" + dir, "NO_PROXY=*", "no_proxy=*"}
	for _, name := range []string{"PATH", "LANG"} {
		env = append(env, name+"="+os.Getenv(name))
	}
	return &runner{t: t, dir: dir, env: env}
}

// do returns what the program wrote to stdout. An error has what it said.
func (r *runner) do(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = r.dir, r.env
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", fmt.Errorf("%w; .ci/clients and .ci/tools install it", err)
		}
		return "", fmt.Errorf("%s %s: %w\n%s%s", program, strings.Join(args, " "), err, out.String(), said.String())
	}
	return out.String(), nil
}

// with returns r with more in its environment.
func (r *runner) with(env ...string) *runner {
	more := *r
	more.env = slices.Concat(r.env, env)
	return &more
}

// fresh makes a new folder.
func (r *runner) fresh() (string, error) { return os.MkdirTemp(r.dir, "pull") }

// Clients returns every client that pulls images. Daemons that they need run
// until the test ends. They may be used in parallel.
func Clients(t testing.TB) []Client {
	return []Client{Crane(t), Skopeo(t), Oras(t), Podman(t), Containerd(t)}
}

// layout lists the manifests of an OCI image layout, those in an index too.
func layout(dir string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return nil, err
	}
	var all []string
	var walk func(b []byte) error
	walk = func(b []byte) error {
		var index v1.Index
		if err := json.Unmarshal(b, &index); err != nil {
			return err
		}
		for _, m := range index.Manifests {
			file := filepath.Join(dir, "blobs", m.Digest.Algorithm().String(), m.Digest.Encoded())
			b, err := os.ReadFile(file)
			if errors.Is(err, os.ErrNotExist) {
				continue // of a platform that was not asked for
			}
			if err != nil {
				return err
			}
			if m.Digest.Algorithm().FromBytes(b) != m.Digest {
				return fmt.Errorf("%s: other content than its name says", file)
			}
			all = append(all, m.Digest.String())
			if err := walk(b); err != nil {
				return err
			}
		}
		return nil
	}
	return all, walk(b)
}

// Crane returns the client of go-containerregistry.
func Crane(t testing.TB) Client {
	r := newRunner(t)
	return Client{Name: "crane", NestedWhole: true, Pull: func(ctx context.Context, p Pull) ([]string, error) {
		dir, err := r.fresh()
		if err != nil {
			return nil, err
		}
		args := []string{"pull", "--format", "oci", p.Ref(), dir}
		if p.Platform != "" {
			args = append(args, "--platform", p.Platform)
		}
		if _, err := r.do(ctx, "crane", args...); err != nil {
			return nil, err
		}
		return layout(dir)
	}}
}

// Skopeo returns the client of containers/image.
func Skopeo(t testing.TB) Client {
	r := newRunner(t)
	return Client{Name: "skopeo", Pull: func(ctx context.Context, p Pull) ([]string, error) {
		dir, err := r.fresh()
		if err != nil {
			return nil, err
		}
		args := []string{"--insecure-policy", "--registries-conf", "/dev/null", "--registries.d", dir}
		copying := []string{"copy", "--quiet", "--src-tls-verify=false", "--preserve-digests"}
		if p.Platform == "" {
			copying = append(copying, "--all")
		} else {
			system, architecture, _ := strings.Cut(p.Platform, "/")
			args = append(args, "--override-os", system, "--override-arch", architecture)
		}
		// Its own form keeps Docker's media types, which a layout does not.
		target := filepath.Join(dir, "image")
		args = append(append(args, copying...), "docker://"+p.Ref(), "dir:"+target)
		if _, err := r.do(ctx, "skopeo", args...); err != nil {
			return nil, err
		}
		return manifestFiles(target)
	}}
}

// manifestFiles lists the manifests in skopeo's form: manifest.json, and
// <hex>.manifest.json for those of an index.
func manifestFiles(dir string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*manifest.json"))
	if err != nil {
		return nil, err
	}
	var all []string
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, godigest.FromBytes(b).String())
	}
	return all, nil
}

// Oras returns the client of oras-go, which Helm uses too.
func Oras(t testing.TB) Client {
	r := newRunner(t)
	return Client{Name: "oras", NestedWhole: true, Pull: func(ctx context.Context, p Pull) ([]string, error) {
		dir, err := r.fresh()
		if err != nil {
			return nil, err
		}
		args := []string{"copy", "--no-tty", "--from-plain-http", "--to-oci-layout", p.Ref(), dir + ":x"}
		if p.Platform != "" {
			args = append(args, "--platform", p.Platform)
		}
		if _, err := r.do(ctx, "oras", args...); err != nil {
			return nil, err
		}
		return layout(dir)
	}}
}

// Podman pulls and unpacks, into a store of its own, by the original name.
func Podman(t testing.TB) Client {
	r := newRunner(t)
	r.dir = shortDir(t)
	policy := filepath.Join(r.dir, "policy.json")
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	return Client{Name: "podman", OnePlatform: true, Pull: func(ctx context.Context, p Pull) ([]string, error) {
		dir, err := r.fresh()
		if err != nil {
			return nil, err
		}
		if p.Config == "" {
			if p.Config, err = writeRegistries(dir, p); err != nil {
				return nil, err
			}
		}
		r := r.with("CONTAINERS_REGISTRIES_CONF=" + p.Config)
		global := []string{"--root", dir + "/root", "--runroot", dir + "/run", "--tmpdir", dir + "/tmp", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none"}
		args := append(global, "pull", "--quiet", "--signature-policy", policy)
		if p.Platform != "" {
			args = append(args, "--platform", p.Platform)
		}
		id, err := r.do(ctx, "podman", append(args, originalRef(p))...)
		if err != nil {
			return nil, err
		}
		out, err := r.do(ctx, "podman", append(global, "image", "inspect", "--format", "{{range .RepoDigests}}{{.}} {{end}}", strings.TrimSpace(id))...)
		if err != nil {
			return nil, err
		}
		var all []string
		for _, d := range strings.Fields(out) {
			_, digest, _ := strings.Cut(d, "@")
			all = append(all, digest)
		}
		return all, nil
	}}
}

// writeRegistries puts the mirror in place of the image's registry.
func writeRegistries(dir string, p Pull) (file string, err error) {
	host, _, _ := strings.Cut(originalRef(p), "/")
	location := p.Server
	if host != p.Server {
		location += "/" + strings.Replace(host, ":", "_", 1)
	}
	text := fmt.Sprintf("unqualified-search-registries = []\n[[registry]]\nprefix = %q\nlocation = %q\ninsecure = true\n", host, location)
	file = filepath.Join(dir, "registries.conf")
	return file, os.WriteFile(file, []byte(text), 0o644)
}
