package webtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
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

// Names returns all of them.
func Names() []string { return []string{Serve, Nginx, Apache, Caddy} }

// startTime is how long a server may take until it answers, on a busy machine.
const startTime = 60 * time.Second

// Server is a running server over a mirror.
type Server struct {
	Name string
	URL  string // without '/' at the end
	// Log returns what the server has said so far, for a failing test.
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
	return start(t, name, dir, setup{})
}

// Pair are the PEM files of a server's certificate and its key.
type Pair struct{ Cert, Key string }

// StartTLS works like Start, over https, for Nginx and Serve.
func StartTLS(t testing.TB, name, dir string, pair Pair) *Server {
	t.Helper()
	if name != Nginx && name != Serve {
		t.Fatalf("server %q over https: want %s or %s", name, Nginx, Serve)
	}
	return start(t, name, dir, setup{pair: pair})
}

// StartNames works like Start, for the public names that the mirror can answer for.
func StartNames(t testing.TB, name, dir string) *Server {
	t.Helper()
	return start(t, name, dir, setup{names: "hosts-"})
}

// StartNamesTLS works like StartNames, over https, at the port that clients ask without saying so.
// By the name OwnName, for which own is, the server is the mirror itself.
func StartNamesTLS(t testing.TB, name, dir string, names, own Pair) *Server {
	t.Helper()
	return start(t, name, dir, setup{names: "hosts-", port: "443", pair: names, own: own})
}

// OwnName is the mirror's own name where it is served by public names, too.
const OwnName = "localhost"

// setup is how a server is started.
type setup struct {
	pair Pair
	// names is the beginning of the name of the snippet: "hosts-" for public names.
	names string
	port  string
	// own is the certificate for OwnName.
	own Pair
}

// scheme returns what clients ask with.
func (s setup) scheme() string {
	if s.pair.Cert != "" {
		return "https"
	}
	return "http"
}

func start(t testing.TB, name, dir string, s setup) *Server {
	t.Helper()
	if s.port == "" {
		s.port = freePort(t)
	}
	if name == Serve {
		return startServe(t, dir, s)
	}
	work := t.TempDir()
	snippets := filepath.Join(dir, "current", filepath.FromSlash(site.ServersDir))
	var config string
	var args []string
	file := filepath.Join(work, name+".conf")
	switch name {
	case Nginx:
		config = nginxConfig(work, snippets, s)
		args = []string{"-p", work, "-c", file, "-e", "stderr"}
	case Apache:
		config = apacheConfig(work, snippets, s)
		args = []string{"-d", work, "-f", file, "-D", "FOREGROUND"}
		reachable(t, dir)
	case Caddy:
		config = caddyConfig(work, snippets, s)
		args = []string{"run", "--adapter", "caddyfile", "--config", file}
	default:
		t.Fatalf("server %q: want one of %v", name, Names())
	}
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return startProgram(t, name, args, work, s)
}

func startServe(t testing.TB, dir string, s setup) *Server {
	var log bytes.Buffer
	h, err := serve.New(dir, serve.Options{AccessLog: &log, Hosts: s.names != ""})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+s.port)
	if err != nil {
		t.Fatal(err)
	}
	var pairs []serve.KeyPair
	if s.pair.Cert != "" {
		pairs = []serve.KeyPair{{Cert: s.pair.Cert, Key: s.pair.Key}}
	}
	if s.own.Cert != "" {
		pairs = append(pairs, serve.KeyPair{Cert: s.own.Cert, Key: s.own.Key})
	}
	config, err := serve.LoadTLS(pairs)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve.Server{Listener: l, Handler: h, TLS: config}.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", Serve, err)
		}
		if err := h.Close(); err != nil {
			t.Errorf("%s: %v", Serve, err)
		}
	})
	return &Server{Name: Serve, URL: s.scheme() + "://" + l.Addr().String(), Log: func() string { return "" }}
}

// startProgram runs a server as a child and waits until it answers.
func startProgram(t testing.TB, name string, args []string, work string, setup setup) *Server {
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
		_ = cmd.Wait() // a server that was asked to stop need not return 0
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		_ = logFile.Close()
	})
	s := &Server{Name: name, URL: setup.scheme() + "://127.0.0.1:" + setup.port, Log: func() string {
		b, err := os.ReadFile(logFile.Name())
		if err != nil {
			return err.Error()
		}
		return string(b)
	}}
	waitUntilUp(t, s, setup.port, ended)
	return s
}

// waitUntilUp tries until the server takes connections, or has ended.
func waitUntilUp(t testing.TB, s *Server, port string, ended <-chan struct{}) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	late := time.After(startTime)
	for {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
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

// reachable lets a server that drops root pass through the test's own
// folders above dir.
func reachable(t testing.TB, dir string) {
	top := filepath.Clean(os.TempDir())
	for d := filepath.Dir(dir); strings.HasPrefix(d, top+string(filepath.Separator)); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func nginxConfig(work, snippets string, s setup) string {
	user, port := "", s.port
	if pair := s.pair; pair.Cert != "" {
		port += fmt.Sprintf(" ssl;\n\t\tssl_protocols TLSv1.2 TLSv1.3;\n\t\tssl_certificate %q;\n\t\tssl_certificate_key %q", pair.Cert, pair.Key)
	}
	own := ""
	if s.own.Cert != "" {
		own = fmt.Sprintf("\tserver {\n\t\tlisten 127.0.0.1:%s ssl;\n\t\tserver_name %s;\n\t\tssl_certificate %q;\n\t\tssl_certificate_key %q;\n\t\tinclude %q;\n\t}\n", s.port, OwnName, s.own.Cert, s.own.Key, filepath.Join(snippets, "nginx.conf"))
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
%s}
`, user, work, temp.String(), port, filepath.Join(snippets, s.names+"nginx.conf"), own)
}

func apacheConfig(work, snippets string, s setup) string {
	var b strings.Builder
	for _, module := range []string{"mpm_event", "authz_core", "alias", "autoindex", "deflate", "dir", "filter", "headers", "mime", "negotiation", "rewrite", "ssl", "socache_shmcb"} {
		fmt.Fprintf(&b, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", module, module)
	}
	if os.Geteuid() == 0 {
		b.WriteString("User www-data\nGroup www-data\n")
	}
	// Debian switches this on for every host; it may not disturb a mirror.
	b.WriteString("TypesConfig /etc/mime.types\nAddHandler type-map var\nAddOutputFilterByType DEFLATE text/html text/plain\nAddEncoding x-gzip .gz .tgz\nHeaderName HEADER.html\nReadmeName README.html\n")
	fmt.Fprintf(&b, "ServerName localhost\nDefaultRuntimeDir %[1]s\nPidFile %[1]s/pid\nErrorLog /dev/stderr\nListen 127.0.0.1:%[2]s\n", work, s.port)
	tls := ""
	if s.pair.Cert != "" {
		tls = fmt.Sprintf("ServerName names.invalid\nSSLEngine on\nSSLCertificateFile %q\nSSLCertificateKeyFile %q\n", s.pair.Cert, s.pair.Key)
	}
	fmt.Fprintf(&b, "<VirtualHost 127.0.0.1:%s>\n%sInclude %q\n</VirtualHost>\n", s.port, tls, filepath.Join(snippets, s.names+"apache.conf"))
	if s.own.Cert != "" {
		fmt.Fprintf(&b, "<VirtualHost 127.0.0.1:%s>\nServerName %s\nSSLEngine on\nSSLCertificateFile %q\nSSLCertificateKeyFile %q\nInclude %q\n</VirtualHost>\n", s.port, OwnName, s.own.Cert, s.own.Key, filepath.Join(snippets, "apache.conf"))
	}
	return b.String()
}

func caddyConfig(work, snippets string, s setup) string {
	address := "http://127.0.0.1:" + s.port
	switch {
	case s.pair.Cert != "":
		address = fmt.Sprintf("https://:%s {\n\tbind 127.0.0.1\n\ttls %q %q", s.port, s.pair.Cert, s.pair.Key)
	case s.names != "":
		address = fmt.Sprintf("http://:%s {\n\tbind 127.0.0.1", s.port)
	default:
		address += " {"
	}
	config := fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n\tstorage file_system %q\n}\n%s\n\timport %q\n}\n", work, address, filepath.Join(snippets, s.names+"Caddyfile"))
	if s.own.Cert != "" {
		config += fmt.Sprintf("https://%s:%s {\n\tbind 127.0.0.1\n\ttls %q %q\n\timport %q\n}\n", OwnName, s.port, s.own.Cert, s.own.Key, filepath.Join(snippets, "Caddyfile"))
	}
	return config
}
