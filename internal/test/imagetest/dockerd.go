package imagetest

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Dockerd starts docker's daemon with flags as Kubespray sets them, and pulls by the
// original name into a store of its own. It has no network of its own and needs root.
// It keeps of an image the digest of its index.
func Dockerd(t testing.TB, flags ...string) Client {
	r, host := dockerd(t, flags...)
	return Client{Name: "docker", OnePlatform: true, Pull: func(ctx context.Context, p Pull) ([]string, error) {
		ref := originalRef(p)
		if _, err := r.do(ctx, "docker", "--host", host, "pull", "--quiet", "--platform", p.Platform, ref); err != nil {
			return nil, err
		}
		out, err := r.do(ctx, "docker", "--host", host, "image", "inspect", "--format", "{{range .RepoDigests}}{{.}} {{end}}", ref)
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

// dockerd starts docker's daemon and returns its address.
func dockerd(t testing.TB, flags ...string) (r *runner, host string) {
	r = newRunner(t)
	dir := shortDir(t)
	host = "unix://" + filepath.Join(dir, "s")
	args := []string{
		"--host", host, "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"),
		"--storage-driver", "vfs", "--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
	}
	ready := func() error {
		_, err := r.do(context.Background(), "docker", "--host", host, "version")
		return err
	}
	daemon(t, dir, ready, "dockerd", append(args, flags...)...)
	return r, host
}

// DockerSave has docker pull images from a registry on loopback, names them, and saves
// them all into one file. names are by the images' references.
func DockerSave(t testing.TB, file string, names map[string]string) {
	t.Helper()
	r, host := dockerd(t)
	do := func(args ...string) {
		t.Helper()
		if _, err := r.do(context.Background(), "docker", append([]string{"--host", host}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"save", "--output", file}
	for _, ref := range slices.Sorted(maps.Keys(names)) {
		do("pull", "--quiet", ref)
		do("tag", ref, names[ref])
		args = append(args, names[ref])
	}
	do(args...)
}
