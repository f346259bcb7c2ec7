package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/gapbundle/gapbundle/internal/test/pty"
)

// terminal CODE ANSWERS PROGRAM ARG... runs a program on a terminal of 120
// columns: ANSWERS is a file with what a person types, a line whenever the
// program asks (a question ends in ": "), ^C for an interrupt, ^D for the end of the input; - for nothing. What was on the
// terminal goes to the file screen, standard output to the file out.
func terminal(ts *testscript.TestScript, _ bool, args []string) {
	var answers []string
	if args[1] != "-" {
		answers = strings.Split(strings.TrimSpace(ts.ReadFile(args[1])), "\n")
	}
	master, slave, err := openTerminal()
	ts.Check(err)
	defer master.Close()
	cmd := programIn(ts, args[2:])
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, &out, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	ts.Check(cmd.Start())
	ts.Check(slave.Close())
	shown := converse(master, answers)
	if t, err := unix.IoctlGetTermios(int(master.Fd()), unix.TCGETS); err != nil || t.Lflag&unix.ECHO == 0 {
		ts.Fatalf("the echo was left switched off; %v", err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	ts.Check(os.WriteFile(ts.MkAbs("screen"), shown, 0o644))
	ts.Check(os.WriteFile(ts.MkAbs("out"), out.Bytes(), 0o644))
	if got := cmd.ProcessState.ExitCode(); strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s; on the screen: %s", got, args[0], shown)
	}
}

// converse reads the terminal to its end and answers questions.
func converse(master *os.File, answers []string) []byte {
	var shown []byte
	buf := make([]byte, 4096)
	for {
		n, err := master.Read(buf)
		shown = append(shown, buf[:n]...)
		if n > 0 && bytes.HasSuffix(shown, []byte(": ")) && len(answers) > 0 {
			if bytes.Contains(shown[bytes.LastIndexByte(shown, '\n')+1:], []byte("passphrase")) {
				waitSilent(int(master.Fd()))
			}
			answer := answers[0] + "\n"
			switch answers[0] {
			case "^C":
				answer = "\x03"
			case "^D":
				answer = "\x04"
			}
			fmt.Fprint(master, answer)
			answers = answers[1:]
		}
		if err != nil { // EIO: the program closed its side
			return shown
		}
	}
}

// waitSilent waits until the program has switched the echo off: a person does
// not type a passphrase in the same microsecond in which it is asked for.
func waitSilent(fd int) {
	for {
		t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil || t.Lflag&unix.ECHO == 0 {
			return
		}
		runtime.Gosched()
	}
}

func openTerminal() (master, slave *os.File, err error) {
	if master, slave, err = pty.Pair(); err != nil {
		return nil, nil, err
	}
	fd := int(master.Fd())
	// An interrupt that is typed would discard what is unread on the screen, and with it
	// what the program said right after the signal.
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, nil, err
	}
	settings.Lflag |= unix.NOFLSH
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, settings); err != nil {
		return nil, nil, err
	}
	return master, slave, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120})
}
