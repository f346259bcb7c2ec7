package webtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/serve"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// Names of the servers.
const (
	Nginx  = "nginx"
	Apache = "apache2"
	Caddy  = "caddy"
	Serve  = "gapbundle"
)

// Names gives all of them.
func Names() []string { return []string{Serve, Nginx, Apache, Caddy} }

// startTime is how long a server may take until it answers, on a busy machine.
const startTime = 60 * time.Second

// Server is a running server over a mirror.
type Server struct {
	Name string
	URL  string // without '/' at the end
	// Log gives what the server has said so far, for a failing test.
	Log func() string
}

// Each runs f once for every server, each over the mirror in dir.
func Each(t *testing.T, dir string, f func(t *testing.T, s *Server)) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) { f(t, Start(t, name, dir)) })
	}
}

// Start runs one server over the mirror in dir, in which something is
// published, until the test ends.
func Start(t testing.TB, name, dir string) *Server {
	t.Helper()
	return start(t, name, dir, Pair{})
}

// Pair are the PEM files of a server's certificate and its key.
type Pair struct{ Cert, Key string }

// StartTLS is Start over https, for Nginx and Serve.
func StartTLS(t testing.TB, name, dir string, pair Pair) *Server {
	t.Helper()
	if name != Nginx && name != Serve {
		t.Fatalf("server %q over https: want %s or %s", name, Nginx, Serve)
	}
	s := start(t, name, dir, pair)
	s.URL = "https" + strings.TrimPrefix(s.URL, "http")
	return s
}

func start(t testing.TB, name, dir string, pair Pair) *Server {
	t.Helper()
	if name == Serve {
		return startServe(t, dir, pair)
	}
	work := t.TempDir()
	port := freePort(t)
	snippets := filepath.Join(dir, "current", filepath.FromSlash(site.ServersDir))
	var config string
	var args []string
	file := filepath.Join(work, name+".conf")
	switch name {
	case Nginx:
		config = nginxConfig(work, filepath.Join(snippets, "nginx.conf"), port, pair)
		args = []string{"-p", work, "-c", file, "-e", "stderr"}
	case Apache:
		config = apacheConfig(work, filepath.Join(snippets, "apache.conf"), port)
		args = []string{"-d", work, "-f", file, "-D", "FOREGROUND"}
		reachable(t, dir)
	case Caddy:
		config = caddyConfig(work, filepath.Join(snippets, "Caddyfile"), port)
		args = []string{"run", "--adapter", "caddyfile", "--config", file}
	default:
		t.Fatalf("server %q: want one of %v", name, Names())
	}
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return startProgram(t, name, args, work, port)
}

func startServe(t testing.TB, dir string, pair Pair) *Server {
	var log bytes.Buffer
	h, err := serve.New(dir, serve.Options{AccessLog: &log})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve.Server{Listener: l, Handler: h, TLSCert: pair.Cert, TLSKey: pair.Key}.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", Serve, err)
		}
		if err := h.Close(); err != nil {
			t.Errorf("%s: %v", Serve, err)
		}
	})
	return &Server{Name: Serve, URL: "http://" + l.Addr().String(), Log: func() string { return "" }}
}

// startProgram runs a server as a child and waits until it answers.
func startProgram(t testing.TB, name string, args []string, work, port string) *Server {
	t.Helper()
	program, err := lookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed; as root: apt-get install nginx apache2 caddy", name)
	}
	logFile, err := os.Create(filepath.Join(work, "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = work
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + work, "XDG_DATA_HOME=" + work, "XDG_CONFIG_HOME=" + work}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // a server that was told to stop need not say 0
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		_ = logFile.Close()
	})
	s := &Server{Name: name, URL: "http://127.0.0.1:" + port, Log: func() string {
		b, err := os.ReadFile(logFile.Name())
		if err != nil {
			return err.Error()
		}
		return string(b)
	}}
	waitUntilUp(t, s, ended)
	return s
}

// waitUntilUp asks until the server answers, or has ended.
func waitUntilUp(t testing.TB, s *Server, ended <-chan struct{}) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	late := time.After(startTime)
	for {
		resp, err := http.Get(s.URL + "/")
		if err == nil {
			_ = resp.Body.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended instead of serving:\n%s", s.Name, s.Log())
		case <-late:
			t.Fatalf("%s: %v:\n%s", s.Name, err, s.Log())
		case <-again.C:
		}
	}
}

// lookPath also looks where Debian keeps servers, out of a user's PATH.
func lookPath(name string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	return exec.LookPath(filepath.Join("/usr/sbin", name))
}

func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// reachable lets a server that gives root up pass through the test's own
// folders above dir.
func reachable(t testing.TB, dir string) {
	top := filepath.Clean(os.TempDir())
	for d := filepath.Dir(dir); strings.HasPrefix(d, top+string(filepath.Separator)); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func nginxConfig(work, snippet, port string, pair Pair) string {
	user := ""
	if pair.Cert != "" {
		port += fmt.Sprintf(" ssl;\n\t\tssl_protocols TLSv1.2 TLSv1.3;\n\t\tssl_certificate %q;\n\t\tssl_certificate_key %q", pair.Cert, pair.Key)
	}
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "\t%s_temp_path %s;\n", kind, filepath.Join(work, kind))
	}
	return fmt.Sprintf(`%s
daemon off;
worker_processes 1;
pid %s/pid;
events {}
http {
	access_log off;
%s	server {
		listen 127.0.0.1:%s;
		include %q;
	}
}
`, user, work, temp.String(), port, snippet)
}

func apacheConfig(work, snippet, port string) string {
	var b strings.Builder
	for _, module := range []string{"mpm_event", "authz_core", "alias", "autoindex", "deflate", "dir", "filter", "headers", "mime", "negotiation", "rewrite"} {
		fmt.Fprintf(&b, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", module, module)
	}
	if os.Geteuid() == 0 {
		b.WriteString("User www-data\nGroup www-data\n")
	}
	// What Debian switches on for every host, and may not disturb a mirror.
	b.WriteString("TypesConfig /etc/mime.types\nAddHandler type-map var\nAddOutputFilterByType DEFLATE text/html text/plain\nAddEncoding x-gzip .gz .tgz\n")
	fmt.Fprintf(&b, "ServerName localhost\nDefaultRuntimeDir %[1]s\nPidFile %[1]s/pid\nErrorLog /dev/stderr\nListen 127.0.0.1:%[2]s\n", work, port)
	fmt.Fprintf(&b, "<VirtualHost 127.0.0.1:%s>\nInclude %q\n</VirtualHost>\n", port, snippet)
	return b.String()
}

func caddyConfig(work, snippet, port string) string {
	return fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n\tstorage file_system %q\n}\nhttp://127.0.0.1:%s {\n\timport %q\n}\n", work, port, snippet)
}
