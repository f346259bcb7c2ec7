package command

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/verify"
)

// thingHint returns what to do about the thing that an error is about (bundle.About), on the
// side inside the gap. Things of the connected side are known to its program.
func thingHint(err error, mirror string) string {
	var volumes *verify.MissingVolumesError
	if errors.As(err, &volumes) {
		return "bring the media that hold the volumes named, and name all of them in one command, as in gapbundle verify /media/usb1 /media/usb2; import takes them one after the other, too"
	}
	thing, _ := bundle.ThingOf(err)
	switch class := classOf(err); {
	case thing == bundle.AboutMirrorState && errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("run the command as the account that imports; so that others can read status, check and history, that account gives them a group: gapbundle config %s --group NAME", mirror)
	case class.Code == ExitEnvironment, class.Code == ExitBusy, errors.Is(err, bundle.ErrUnsupported):
		return "" // what the operating system refuses, and what another version wrote, is the same for all things
	case thing == bundle.AboutMirror:
		return fmt.Sprintf("gapbundle check %[1]s --data names everything that is damaged; gapbundle repair %[1]s PATH... puts it right with what any bundle at hand has", mirror)
	case thing == bundle.AboutMirrorState:
		return fmt.Sprintf("put the file back from a backup that is no older than the newest import; otherwise gapbundle state rebuild %s restores what generations, receipts and accepted bundles prove", mirror)
	case thing == bundle.AboutEmptyMirror:
		return fmt.Sprintf("import a bundle first: gapbundle import PATH --to %[1]s; gapbundle status %[1]s prints what is there", mirror)
	}
	return namedHint(thing, mirror)
}

// namedHint returns what to do about a thing that somebody named and that is not there, or is of
// another kind.
func namedHint(thing bundle.Thing, mirror string) string {
	switch thing {
	case bundle.AboutPublicKey:
		return "name the public half: exporter.pub, which gapbundle keygen --out DIR writes, for the roles exporter and approver; site.asc or another OpenPGP key for the roles site and upstream"
	case bundle.AboutTrust:
		return fmt.Sprintf("gapbundle trust list --mirror %s prints the keys; the first 12 digits of a fingerprint are enough", mirror)
	case bundle.AboutGeneration:
		return fmt.Sprintf("gapbundle history %s prints the generations", mirror)
	case bundle.AboutSet:
		return fmt.Sprintf("gapbundle status %s prints the sets", mirror)
	case bundle.AboutBaseURL:
		return "give the address at which clients reach the mirror, as in http://mirror.lan:8080"
	case bundle.AboutCertificate:
		return "name two files in PEM: --tls-cert has the certificate and its chain, --tls-key the private key of it"
	}
	return ""
}

// networkHint returns what to do about a connection: one to an upstream, or one that is
// listened for.
func networkHint(err error) string {
	var op *net.OpError
	var answer *registry.AnswerError
	host := fetch.UnknownHost(err)
	switch {
	case errors.As(err, &op) && op.Op == "listen":
		return listenHint(err)
	case host != "":
		return fmt.Sprintf("is %s spelled right in the spec? if it is, the name service of this machine does not know it (getent hosts %[1]s); behind a proxy: https_proxy in the environment, or proxy under hosts", host)
	case fetch.UntrustedCertificate(err):
		return "if an authority of your own issued the certificate, name its file in the spec under hosts: ca; otherwise look at the clock of this machine, and at who answers in place of that host"
	case fetch.Unreachable(err), errors.As(err, &answer) && (answer.Status == http.StatusTooManyRequests || answer.Status >= 500):
		return "repeat the command later, when the connection is up again; an export goes on where it stopped: what was downloaded is kept"
	}
	return ""
}

// listenHint returns what to do about an address that cannot be listened on.
func listenHint(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program listens there, and ss -ltnp prints which; or choose another port: --listen 127.0.0.1:8081"
	case errors.Is(err, fs.ErrPermission):
		return "ports below 1024 are for root and for programs with CAP_NET_BIND_SERVICE; choose another port: --listen 127.0.0.1:8080"
	}
	return "this machine has no such address, and ip address prints those that it has; :8080 listens on all of them"
}

// pathHint returns what to do about a path that is not there: what lacks may be the folder above.
func pathHint(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) && path.Op == "mkdir" {
		if parent := filepath.Dir(path.Path); !exists(parent) {
			return "check the path; only its last folder is made: mkdir -p " + quoted([]string{parent})
		}
	}
	return "check the path"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
