package imagetest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// containerdConfig: nothing of the machine's own, no CRI, nothing to run.
const containerdConfig = `version = 2
root = %[1]q
state = %[2]q
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = %[3]q
`

// Containerd pulls through a hosts folder and unpacks with the native
// snapshotter. It needs root.
func Containerd(t testing.TB) Client {
	r := newRunner(t)
	dir := shortDir(t)
	socket := filepath.Join(dir, "s")
	config := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, containerdConfig, filepath.Join(dir, "root"), filepath.Join(dir, "state"), socket), 0o644); err != nil {
		t.Fatal(err)
	}
	ready := func() error {
		c, err := net.Dial("unix", socket)
		if err != nil {
			return err
		}
		return c.Close()
	}
	daemon(t, dir, ready, "containerd", "--config", config)
	var pulls atomic.Int64
	return Client{Name: "containerd", NestedWhole: true, NestedOne: true, Pull: func(ctx context.Context, p Pull) ([]string, error) {
		// Each pull has a namespace of its own: nothing is there before.
		ctr := []string{"--address", socket, "--namespace", fmt.Sprint("pull", pulls.Add(1))}
		if p.Config == "" {
			var err error
			if p.Config, err = r.fresh(); err != nil {
				return nil, err
			}
			if err := writeHosts(p.Config, p); err != nil {
				return nil, err
			}
		}
		args := append(slices.Clone(ctr), "images", "pull", "--hosts-dir", p.Config, "--snapshotter", "native")
		if p.Platform == "" {
			args = append(args, "--all-platforms")
		} else {
			args = append(args, "--platform", p.Platform)
		}
		if _, err := r.do(ctx, "ctr", append(args, originalRef(p))...); err != nil {
			return nil, err
		}
		out, err := r.do(ctx, "ctr", append(slices.Clone(ctr), "content", "ls", "-q")...)
		if err != nil {
			return nil, err
		}
		return strings.Fields(out), nil
	}}
}

// originalRef returns an image's name as it was before it was mirrored, where p
// has it with the registry's host; the mirror's own otherwise.
func originalRef(p Pull) string {
	host, rest, _ := strings.Cut(p.Name, "/")
	if !strings.Contains(host, ".") {
		return p.Ref()
	}
	p.Server, p.Name = strings.Replace(host, "_", ":", 1), rest
	return p.Ref()
}

// writeHosts configures containerd to ask the mirror, and nobody else.
func writeHosts(dir string, p Pull) error {
	host, _, _ := strings.Cut(originalRef(p), "/")
	path := "/v2"
	if host != p.Server {
		path += "/" + strings.Replace(host, ":", "_", 1)
	}
	url := "http://" + p.Server + path
	text := fmt.Sprintf("server = %[1]q\n[host.%[1]q]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n", url)
	if err := os.MkdirAll(filepath.Join(dir, host), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, host, "hosts.toml"), []byte(text), 0o644)
}

// shortDir makes a folder for sockets and the like, whose paths have to be
// shorter than those of a test's own folders.
func shortDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "img")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
