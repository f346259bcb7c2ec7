package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// The exit codes, a contract for scripts (help.go prints them).
const (
	ExitDone        = 0
	ExitInternal    = 1
	ExitUsage       = 2
	ExitCorrupt     = 3
	ExitUntrusted   = 4
	ExitIncomplete  = 5
	ExitEnvironment = 6
	ExitUpstream    = 7
	ExitBusy        = 8
)

// Class is one kind of finding: how it is recognized, its exit code, and what
// to do about it unless a more specific hint is known.
type Class struct {
	is   func(error) bool
	Code int
	Hint string
}

func sentinel(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// Classes returns the sentinel table, in order of precedence within one finding: a
// class that a package stated comes before the error of the operating system
// it wraps.
func Classes() []Class {
	return []Class{
		{sentinel(bundle.ErrUsage), ExitUsage, "correct what is named; " + anyHelp + " shows what can be asked for"},
		{sentinel(bundle.ErrBusy), ExitBusy, "another gapbundle is at work there; wait for it with --retry-lock 10m"},
		{sentinel(bundle.ErrUntrusted), ExitUntrusted, "nothing was changed; gapbundle trust list --mirror DIR shows what is trusted, and by whom"},
		{sentinel(bundle.ErrMalformed), ExitCorrupt, "copy the named file again from where it came; if it stays so, it was not made by gapbundle"},
		{sentinel(bundle.ErrCorrupt), ExitCorrupt, "copy the named file again from the side that made it, with any tool, and repeat the command"},
		{sentinel(bundle.ErrUnsupported), ExitCorrupt, "use the gapbundle that made this, or a newer one"},
		{sentinel(fetch.ErrConfig), ExitUsage, "correct the entry of the host under hosts in the spec (docs/spec.md), the address, or the variable, file or login that the entry names"},
		{sentinel(fetch.ErrRefused), ExitUntrusted, "nothing of it was kept; an option that accepts it is named above, where there is one: docs/trust.md"},
		{sentinel(bundle.ErrIncomplete), ExitIncomplete, "bring what is named and repeat the command"},
		{sentinel(fetch.ErrUpstream), ExitUpstream, "upstream contradicts itself, or changed while it was read: repeat the command later; if it stays so, tell those who run it, or take another mirror of it"},
		{isEnvironment, ExitEnvironment, ""},
	}
}

// isEnvironment reports whether the operating system refused. It comes last: a
// package may have given the refusal a meaning of its own.
func isEnvironment(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	var call *os.SyscallError
	var errno syscall.Errno
	return errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &call) || errors.As(err, &errno)
}

// order returns the precedence of codes over several findings.
func order() []int {
	return []int{ExitInternal, ExitUsage, ExitBusy, ExitUntrusted, ExitCorrupt, ExitEnvironment, ExitIncomplete, ExitUpstream}
}

// ExitCode returns the code of a command that ended with err.
func ExitCode(ctx context.Context, err error) int {
	if err == nil {
		return ExitDone
	}
	if i, ok := wasInterrupted(ctx); ok {
		return i.exit()
	}
	var codes []int
	for _, f := range findings(err) {
		codes = append(codes, classOf(f).Code)
	}
	for _, code := range order() {
		if slices.Contains(codes, code) {
			return code
		}
	}
	return ExitInternal
}

func wasInterrupted(ctx context.Context) (Interrupted, bool) {
	var i Interrupted
	return i, errors.As(context.Cause(ctx), &i)
}

func classOf(err error) Class {
	for _, c := range Classes() {
		if c.is(err) {
			return c
		}
	}
	return Class{Code: ExitInternal, Hint: "this is a mistake in gapbundle; please report it together with what --log-level debug prints"}
}

// findings takes an error that errors.Join made apart, also where layers
// above wrapped it; any other error is one finding.
func findings(err error) []error {
	switch e := err.(type) { //nolint:errorlint // the tree itself is walked
	case interface{ Unwrap() []error }:
		var all []error
		var texts []string
		for _, part := range e.Unwrap() {
			all = append(all, findings(part)...)
			texts = append(texts, part.Error())
		}
		if err.Error() == strings.Join(texts, "\n") {
			return all
		}
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			if all := findings(inner); len(all) > 1 {
				return marked(err, all)
			}
		}
	}
	return []error{err}
}

// marked puts what a wrapper states about all findings on each of them.
func marked(wrapper error, all []error) []error {
	about, ok := wrapper.(*bundle.AboutError) //nolint:errorlint // the tree itself is walked
	if !ok {
		return all
	}
	for i := range all {
		all[i] = &bundle.AboutError{Thing: about.Thing, Name: about.Name, Err: all[i]}
	}
	return all
}

// errorLines returns what is printed after "error:", a line for each finding.
func errorLines(ctx context.Context, err error) []string {
	if i, ok := wasInterrupted(ctx); ok {
		return []string{i.Error()}
	}
	text := strings.ReplaceAll(err.Error(), ": "+bundle.ErrUsage.Error(), "") // exit code and hint show it
	text = withoutTypes(text)
	return strings.Split(strings.TrimRight(text, "\n"), "\n")
}

// anyHelp is in hints where the help of the command that ran is meant.
const anyHelp = "gapbundle COMMAND --help"

// HintsFor returns what is printed after "hint:", each hint once.
func HintsFor(ctx context.Context, err error, mirror string, own func(error) string) []string {
	if _, ok := wasInterrupted(ctx); ok {
		return []string{"what is finished is kept: the same command goes on from there"}
	}
	var hints []string
	for _, f := range findings(err) {
		if h := hintFor(f, mirror, own); h != "" && !slices.Contains(hints, h) {
			hints = append(hints, h)
		}
	}
	return hints
}

// hintFor returns what to do about one finding, the most specific answer first.
func hintFor(err error, mirror string, program func(error) string) string {
	var usage *UsageError
	if errors.As(err, &usage) && usage.Hint != "" {
		return usage.Hint
	}
	var own interface{ Hint() string }
	if errors.As(err, &own) {
		return own.Hint()
	}
	if program != nil {
		if h := program(err); h != "" {
			return h
		}
	}
	mirror = FirstOf(mirror, "DIR")
	if h := FirstOf(refusalHint(err, mirror), thingHint(err, mirror)); h != "" {
		return h
	}
	var none *bundle.NoBundleError
	if errors.As(err, &none) {
		return "is the medium mounted? PATH is the directory of a bundle, such as site-000007, or the folder it is in"
	}
	if h := FirstOf(pushHint(err), upstreamHint(err), networkHint(err)); h != "" {
		return h
	}
	return FirstOf(classOf(err).Hint, environmentHint(err))
}

// refusalHint returns what to do about a typed refusal of packages verify and unpack.
func refusalHint(err error, mirror string) string {
	var unsigned *verify.UnsignedError
	var unknown *verify.UnknownKeyError
	var quorum *verify.QuorumError
	var stream *verify.StreamError
	var replay *verify.ReplayError
	var jump *verify.JumpError
	var twice *verify.EquivocationError
	var expired *verify.ExpiredError
	var published *verify.KeysError
	var base *verify.MissingBaseError
	var damage *verify.DamageError
	var conflict *unpack.ConflictError
	var lost *unpack.StateError
	var unrecorded *unpack.UnrecordedError
	var lacking *unpack.MissingError
	var damaged *unpack.DamagedError
	var beyond *reach.Error
	var notGiven *unpack.BeyondError
	var noMirror *unpack.NoMirrorError
	var folder *unpack.FolderError
	var weak *pubkeys.WeakError
	var gone *unpack.GoneError
	switch {
	case errors.As(err, &gone):
		return "nothing was written in its place; mount the disk again at " + gone.Dir + " and repeat the same command: it goes on where it stopped"
	case errors.As(err, &weak):
		return "use a better key; one of an upstream can be added with --role upstream --allow-weak-key, where the exporting side's spec has it under allow-weak-key"
	case errors.As(err, &folder):
		return fmt.Sprintf("find out who put it there; put the folder back in its place, or remove what is there and run gapbundle repair %s PATH... for what was in it", mirror)
	case errors.As(err, &noMirror):
		return fmt.Sprintf("check the path; a mirror is made by the first gapbundle trust add --mirror %s --role exporter --set SET exporter.pub", noMirror.Dir)
	case errors.As(err, &unsigned):
		return "a bundle is signed when its export ends: let it finish there, or copy its bundle.*.sigstore.json too"
	case errors.As(err, &unknown):
		advice := fmt.Sprintf("compare the fingerprint with the exporting side by a second channel, then: gapbundle trust add --mirror %s --role exporter --set %s exporter.pub", mirror, unknown.Set)
		if unknown.Trusted == 0 && mirror != "DIR" { // a command with a mirror
			return "mirror " + mirror + " trusts no key yet: is its path right? if it is new, " + advice
		}
		return advice
	case errors.As(err, &quorum):
		return fmt.Sprintf("let the missing %s sign bundle.json, or trust the key for this set: gapbundle trust add --mirror %s --role %s --set %s FILE", quorum.Role, mirror, quorum.Role, quorum.Set)
	case errors.As(err, &stream):
		return fmt.Sprintf("ask the exporting side by a second channel whether it began again; if so: gapbundle trust adopt --mirror %s --set %s %s", mirror, stream.Set, stream.Got)
	case errors.As(err, &replay):
		return "what is published is newer; if this one is wanted all the same, --allow-rollback accepts it once, which is recorded"
	case errors.As(err, &jump):
		return "no honest exporter counts that far: ask the exporting side; a new stream there can be adopted by gapbundle trust adopt"
	case errors.As(err, &twice):
		return "somebody signed both: compare the two digests with the exporting side before anything else"
	case errors.As(err, &expired):
		return fmt.Sprintf("ask for a newer bundle; --accept-expired accepts this one, which is recorded; a wrong clock floor is moved by gapbundle trust set-time now --mirror %s", mirror)
	case errors.As(err, &published):
		return keysHint(published, mirror)
	case errors.As(err, &base):
		return "bring the bundle it builds on, or on the connected side: gapbundle export SPEC " + OtherBase(base.Have)
	case errors.As(err, &damage):
		return fmt.Sprintf("copy %s again from the side that made it, with any tool, and repeat the command; nothing else needs to be copied", damage.Volume)
	case errors.As(err, &unrecorded):
		return "correct what is named; the same command, or any other that changes the mirror, finishes it"
	case errors.As(err, &lost):
		return fmt.Sprintf("nothing was changed; find out what happened to the file, or put it back from a backup that is no older than the newest import; otherwise gapbundle state rebuild %s restores what generations, receipts and accepted bundles prove", mirror)
	case errors.As(err, &lacking):
		return missingHint(lacking, mirror)
	case errors.As(err, &damaged):
		return fmt.Sprintf("gapbundle repair %s PATH... puts it right with what any bundle at hand has, whichever bundles those are", mirror)
	case errors.As(err, &notGiven):
		return givenHint(notGiven, mirror)
	case errors.As(err, &beyond):
		return fmt.Sprintf("nothing of it was published, and no flag accepts it: the exporting side has to correct what is named, with its newest gapbundle; if nobody there made this, its key is in other hands: gapbundle trust list --mirror %s", mirror)
	case errors.As(err, &conflict):
		return fmt.Sprintf("decide whose it is: gapbundle trust give %[1]s %[2]s --mirror %[3]s, or gapbundle trust set-mounts KEY PATTERN... --mirror %[3]s for what a key may own; or drop a set: gapbundle forget %[3]s %[4]s; or let one of the two specs alone bring it, or give one of them another path there",
			placeOf(conflict.Path), conflict.Sets[1], mirror, conflict.Sets[0])
	}
	return ""
}

// givenHint returns the line that would allow a key what its set has.
func givenHint(e *unpack.BeyondError, mirror string) string {
	const advice = "if the set may have it: "
	if len(e.Keys) == 0 {
		return ""
	}
	k := e.Keys[0]
	var mounts, hosts []string
	for _, p := range e.Places {
		if p.Host != "" {
			hosts = append(hosts, p.Host)
		} else {
			mounts = append(mounts, p.Pattern)
		}
	}
	line := "gapbundle trust set-mounts " + k.ID.Short()
	if len(mounts) > 0 {
		line += " " + quoted(append(slices.Clone(k.Mounts), mounts...))
	}
	if len(hosts) > 0 {
		for _, h := range append(slices.Clone(k.Hosts), hosts...) {
			line += " --host " + quoted([]string{h})
		}
	}
	return advice + line + " --set " + k.Set + " --mirror " + mirror
}

// placeOf returns what would be handed over of a path that two sets want: of a file of an
// image, the image.
func placeOf(path string) string {
	for _, area := range []string{"/manifests/", "/blobs/", "/referrers/"} {
		if at := strings.LastIndex(path, area); at > 0 && strings.HasPrefix(path, "v2/") {
			return path[:at]
		}
	}
	return path
}

// quoted quotes words for a shell.
func quoted(words []string) string {
	for i, word := range words {
		if strings.ContainsAny(word, "* '\"$&;()<>|") {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

func keysHint(e *verify.KeysError, mirror string) string {
	role := "upstream"
	if len(e.Keys) > 0 {
		role = e.Keys[0].Role
	}
	return fmt.Sprintf("compare the fingerprints by a second channel, then: gapbundle trust add --mirror %s --role %s --set %s KEYFILE, or import with --accept-keys, which is recorded", mirror, role, e.Set)
}

// upstreamHint returns what to do about a typed refusal of package fetch.
func upstreamHint(err error) string {
	var redirect *fetch.RedirectError
	var address *fetch.AddressError
	var status *fetch.StatusError
	var answer *registry.AnswerError
	switch {
	case errors.As(err, &answer) && answer.Status == 404:
		return "the registry has no such image or tag, or shows it to nobody without a login: correct the reference in the spec, or log in with docker login or podman login"
	case errors.As(err, &address):
		return addressHint(address)
	case errors.As(err, &redirect) && redirect.Loop:
		return "upstream sends its readers around in circles: open the address in a browser, and name in the spec where it ends"
	case errors.As(err, &redirect) && redirect.Final:
		return "no option allows this: name the address that is redirected to in the spec itself, if it may be trusted"
	case errors.As(err, &redirect) && redirect.TokenService:
		return fmt.Sprintf("if that host may have the registry's login, name it in the spec under hosts: token-service: [%q]", bareHost(redirect.To))
	case errors.As(err, &redirect):
		return fmt.Sprintf("if that host may be trusted with it, allow it in the spec under hosts: redirect-to: [%q]", bareHost(redirect.To))
	case errors.As(err, &status) && (status.Status == 401 || status.Status == 403 || status.Status == 407):
		return "name a credential for that host in the spec under hosts: auth, bearer-env, token-env or basic-env"
	case errors.As(err, &status) && (status.Status == 404 || status.Status == 410):
		return "upstream does not have it any more: correct the address in the spec"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "it speaks no TLS; if that is meant: http:// in its address, or for a registry its host under plain-http"
	}
	return ""
}

// addressHint returns the line of a spec that lets a request go where it leads.
func addressHint(e *fetch.AddressError) string {
	named := net.JoinHostPort(e.Host, e.Port)
	if !e.Private || e.Address == "" || e.Address == e.Host {
		return fmt.Sprintf("no upstream may lead there; if it is a host of yours, name it with its port in the spec: hosts: {%q: {}}", named)
	}
	pattern := e.Host
	if _, domain, ok := strings.Cut(e.Host, "."); ok && strings.Contains(domain, ".") {
		pattern = "*." + domain
	}
	return fmt.Sprintf("if the name service of your network answers so for public names, set it in the spec: hosts: {%q: {addresses: private}}; if it is a host of yours: hosts: {%q: {}}", pattern, named)
}

// bareHost returns an address without its scheme.
func bareHost(address string) string {
	_, host, _ := strings.Cut(address, "://")
	return host
}

// environmentHint returns what to do where the operating system refused.
func environmentHint(err error) string {
	for _, h := range []struct {
		is   error
		hint string
	}{
		{syscall.ENOSPC, "make room or name another target; what is finished is kept, the same command goes on from there"},
		{syscall.EDQUOT, "the quota is used up: make room or name another target"},
		{syscall.EROFS, "the target is mounted read-only: remount it, or name another"},
		{fs.ErrPermission, "check who owns the path and who runs this command"},
		{syscall.EIO, "the drive reports an error: try another drive or port; nothing that could not be written was counted"},
		{fs.ErrNotExist, pathHint(err)},
		{syscall.ENOTDIR, "check the path: a part of it is a file, and a folder is needed there"},
		{syscall.EISDIR, "check the path: a folder is there, and a file is needed"},
	} {
		if errors.Is(err, h.is) {
			return h.hint
		}
	}
	return "see what the operating system says about the path, then repeat the command"
}

// OtherBase returns the flag of an export for a mirror that has what before states.
func OtherBase(before int64) string {
	if before > 0 {
		return fmt.Sprintf("--base %d", before)
	}
	return "--full"
}
