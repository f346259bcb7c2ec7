//go:build clients

package webtest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/unpack/site"
)

// TestCertificateOfPublicNames types the lines that the mirror publishes: the certificate has
// the public names, and the CA can vouch for no others.
func TestCertificateOfPublicNames(t *testing.T) {
	f := newPublicMirror(t)
	dir := t.TempDir()
	IssueNames(t, f.Dir, dir)
	text := runIn(t, dir, "openssl", "x509", "-in", "names.pem", "-noout", "-ext", "subjectAltName")
	for _, name := range []string{"github.com", "nvcr.io", "index.docker.io", "ported.example"} {
		if !strings.Contains(text, "DNS:"+name) {
			t.Errorf("no %s in %s", name, text)
		}
	}
	if strings.Contains(text, "mirror.lan") {
		t.Errorf("names of others: %s", text)
	}
	for _, other := range []string{"DNS:bank.example", "IP:10.0.0.1"} {
		ext := filepath.Join(dir, "other.cnf")
		if err := os.WriteFile(ext, []byte("basicConstraints = CA:FALSE\nsubjectAltName = "+other+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		runIn(t, dir, "openssl", "x509", "-req", "-sha256", "-days", "30", "-in", "names.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-passin", "pass:test", "-CAcreateserial", "-extfile", ext, "-out", "other.pem")
		cmd := exec.CommandContext(t.Context(), "openssl", "verify", "-CAfile", "ca.pem", "other.pem")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "subtree violation") {
			t.Errorf("%s by the names' CA: %v\n%s", other, err, out)
		}
	}
}

// TestNameServers: dnsmasq and unbound take what the mirror publishes, answer by its address
// for the public names, and by nothing for names below them.
func TestNameServers(t *testing.T) {
	f := newPublicMirror(t)
	for _, server := range []string{"dnsmasq", "unbound"} {
		t.Run(server, func(t *testing.T) {
			dir, port := t.TempDir(), freePort(t)
			text, err := os.ReadFile(filepath.Join(f.Dir, "current", filepath.FromSlash(site.HostClientsDir), server+".conf"))
			if err != nil {
				t.Fatal(err)
			}
			config := filepath.Join(dir, "config")
			filled := strings.ReplaceAll(string(text), site.AddressWord(), "192.0.2.7")
			var args []string
			if server == "dnsmasq" {
				args = []string{"--keep-in-foreground", "--no-resolv", "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces", "--port=" + port, "--user=root", "--pid-file=", "--conf-file=" + config}
			} else {
				filled = "server:\n  interface: 127.0.0.1@" + port + "\n  do-daemonize: no\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  directory: \"" + dir + "\"\n  use-syslog: no\n  module-config: \"iterator\"\n  local-zone: \".\" static\n" + filled
				args = []string{"-d", "-c", config}
			}
			if err := os.WriteFile(config, []byte(filled), 0o644); err != nil {
				t.Fatal(err)
			}
			startNameServer(t, server, args...)
			resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, network, "127.0.0.1:"+port)
			}}
			for name, want := range map[string]string{"nvcr.io": "192.0.2.7", "github.com": "192.0.2.7", "api.github.com": "", "mirror.lan": ""} {
				if got := lookUp(t, resolver, name, want); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

// lookUp asks until the server is up.
func lookUp(t *testing.T, r *net.Resolver, name, want string) (got string) {
	t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for range 50 {
		addresses, err := r.LookupHost(t.Context(), name+".")
		if err == nil {
			return strings.Join(addresses, " ")
		}
		if got = ""; want == "" {
			return ""
		}
		<-again.C
	}
	return got
}

func startNameServer(t *testing.T, name string, args ...string) {
	t.Helper()
	program, err := lookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed; as root: apt-get install dnsmasq-base unbound", name)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Log(out.String())
		}
	})
}
