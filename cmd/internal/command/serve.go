package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/gapbundle/gapbundle/internal/serve"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// ServeCommand returns the command gapbundle serve.
func ServeCommand() *cli.Command {
	return Leaf(&cli.Command{
		Name: "serve", Usage: "serve a mirror over HTTP", ArgsUsage: "MIRROR",
		Description: `Any static web server can serve a mirror, with the configuration in its /_gapbundle/;
this one needs no configuration. It serves a new import at once and the previous
generation to clients that still ask for it. When it is asked to stop, it finishes the
requests in flight. If the mirror has no base URL, files for clients get the address
that each client used.`,
		UsageText: `gapbundle serve /srv/mirror
gapbundle serve /srv/mirror --listen :443 --tls-cert cert.pem --tls-key key.pem --metrics-listen 127.0.0.1:9100
gapbundle serve /srv/mirror --listen :443 --tls-cert mirror.pem --tls-key mirror.key --hosts --tls-cert names.pem --tls-key names.key`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Usage: "`ADDRESS` to listen on", Value: "127.0.0.1:8080"},
			List("tls-cert", "certificate `FILE` in PEM, with --tls-key; of several, the one for the name that a client asks for is used"),
			List("tls-key", "private key `FILE` in PEM, one for each certificate, in their order"),
			Toggle("hosts", "answer by the public names that the mirror can answer for, too (clients MIRROR --for hosts)"),
			Text("access-log", "`FILE` that gets a line for each request; - is standard error"),
			Text("metrics-listen", "`ADDRESS` for metrics in Prometheus' text form"),
		},
	}, serveMirror)
}

func serveMirror(c *cli.Context, o *Output) (err error) {
	certs, keys := c.StringSlice("tls-cert"), c.StringSlice("tls-key")
	if len(certs) != len(keys) {
		return &UsageError{fmt.Sprintf("TLS: both certificate and key are needed: got %d and %d", len(certs), len(keys)), "give --tls-cert FILE --tls-key FILE"}
	}
	dir := c.Args().First()
	if err := mirrorIn(dir); err != nil {
		return err
	}
	log, closeLog, err := accessLog(c, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	metrics := &serve.Metrics{}
	handler, err := serve.New(dir, serve.Options{AccessLog: log, Metrics: metrics, Hosts: c.Bool("hosts")})
	if err != nil {
		return err
	}
	defer handler.Close()
	pairs, scheme := []serve.KeyPair(nil), "http"
	for i := range certs {
		pairs, scheme = append(pairs, serve.KeyPair{Cert: certs[i], Key: keys[i]}), "https"
	}
	config, err := serve.LoadTLS(pairs)
	if err != nil {
		return err
	}
	listener, err := listen(c.String("listen"))
	if err != nil {
		return err
	}
	servers := []serve.Server{{Listener: listener, Handler: handler, TLS: config}}
	at := map[string]string{"url": scheme + "://" + listener.Addr().String() + "/"}
	if address := c.String("metrics-listen"); address != "" {
		l, err := listen(address)
		if err != nil {
			listener.Close()
			return err
		}
		servers = append(servers, serve.Server{Listener: l, Handler: metrics})
		at["metrics"] = "http://" + l.Addr().String() + "/metrics"
	}
	noteAddress(o, dir) // before the address, on which somebody may wait
	o.showNow(at, func(w io.Writer) {
		fmt.Fprintln(w, at["url"])
		if at["metrics"] != "" {
			fmt.Fprintln(w, at["metrics"])
		}
	})
	group, ctx := errgroup.WithContext(c.Context)
	for _, s := range servers {
		group.Go(func() error { return s.Run(ctx) })
	}
	if err := group.Wait(); err != nil && context.Cause(c.Context) == nil {
		return err
	}
	return nil
}

// noteAddress reports what a mirror without a base URL sends in place of its address. It
// reports nothing if that is not known, as before the first import.
func noteAddress(o *Output, mirror string) {
	root, err := os.OpenRoot(filepath.Join(mirror, "current"))
	if err != nil {
		return
	}
	defer root.Close()
	if base, err := site.PublishedBase(root); err == nil && base == "" {
		o.Note("the mirror has no base URL: files below /%s/ get the address that each client uses; to settle one: gapbundle config %s --base-url URL", site.ClientsDir, mirror)
	}
}

// mirrorIn makes sure that a folder is one of a mirror.
func mirrorIn(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "generations")); errors.Is(err, fs.ErrNotExist) {
		return &unpack.NoMirrorError{Dir: dir, Lacks: "generations"}
	}
	return nil
}

// listen takes an address; one that cannot be one is an error of usage.
func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil && !isEnvironment(err) {
		return nil, &UsageError{fmt.Sprintf("address %s: %v", address, err), "want HOST:PORT, as in 127.0.0.1:8080 or :443"}
	}
	return l, err
}

// accessLog opens what --access-log names; the file is appended to.
func accessLog(c *cli.Context, o *Output) (io.Writer, func() error, error) {
	nothing := func() error { return nil }
	switch name := c.String("access-log"); name {
	case "":
		return nil, nothing, nil
	case "-":
		return o.Screen, nothing, nil
	default:
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
		if err != nil {
			return nil, nothing, err
		}
		return f, f.Close, nil
	}
}
