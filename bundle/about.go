package bundle

// Thing is what an error is about. A class states whether a command can go on and
// how it ends; what a person has to do about it follows from the thing: a damaged
// volume is copied again, a damaged file of a mirror is repaired.
type Thing int

// The things that hints are written for, in cmd/internal/command. Zero is none of them.
const (
	// AboutSpec is what a spec file states.
	AboutSpec Thing = iota + 1
	// AboutKey is the file of a private key.
	AboutKey
	// AboutPassphrase is the passphrase of a private key.
	AboutPassphrase
	// AboutInput is a file or folder on this side whose content a spec names.
	AboutInput
	// AboutSigner is the signature of an upstream, or the keys for it in the spec.
	AboutSigner
	// AboutPin is a digest by which the spec, a list or a lock pins a file.
	AboutPin
	// AboutSelection is what a spec asks for and no repository has.
	AboutSelection
	// AboutCollected is what was collected, looked at as clients will.
	AboutCollected
	// AboutTargets are the media that an export writes.
	AboutTargets
	// AboutBase is what an export builds on: a bundle, a receipt, or earlier lists.
	AboutBase
	// AboutState is what an exporter keeps next to the spec.
	AboutState
	// AboutReceipt is a receipt or a request of a mirror that came back.
	AboutReceipt
	// AboutMirror is the content of a mirror.
	AboutMirror
	// AboutMirrorState is what a mirror keeps about itself.
	AboutMirrorState
	// AboutEmptyMirror is a mirror, or a set of it, of which nothing was imported yet.
	AboutEmptyMirror
	// AboutPublicKey is the file of a public key.
	AboutPublicKey
	// AboutTrust is a key of a mirror's policy that somebody named.
	AboutTrust
	// AboutGeneration is a generation of a mirror that somebody named.
	AboutGeneration
	// AboutSet is a set of a mirror that somebody named.
	AboutSet
	// AboutBaseURL is the address of a mirror.
	AboutBaseURL
	// AboutCertificate are the files of a web server's certificate and its key.
	AboutCertificate
)

// About marks err as an error about a thing. Text and class stay what they are. nil
// stays nil.
func About(t Thing, err error) error {
	if err == nil {
		return nil
	}
	return &AboutError{Thing: t, Err: err}
}

// AboutError is what About returns.
type AboutError struct {
	Thing Thing
	// Name is the name of the thing, where a hint needs it: of AboutSpec and
	// AboutSelection the kind of the source.
	Name string
	Err  error
}

func (e *AboutError) Error() string { return e.Err.Error() }

// Unwrap returns the error that was marked.
func (e *AboutError) Unwrap() error { return e.Err }

// ThingOf returns what err is about and its name, zero and "" if nothing states it. The
// innermost of several marks counts: the code that met the error first knew it best.
func ThingOf(err error) (t Thing, name string) {
	switch e := err.(type) { //nolint:errorlint // the tree itself is walked
	case interface{ Unwrap() error }:
		t, name = ThingOf(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			if t, name = ThingOf(part); t != 0 {
				break
			}
		}
	}
	if e, ok := err.(*AboutError); ok && (t == 0 || t == e.Thing && name == "") { //nolint:errorlint // as above
		return e.Thing, e.Name
	}
	return t, name
}
