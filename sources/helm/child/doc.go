// Package child runs the program that renders charts: this program again, as a
// child process with limits.
//
// The template of a chart is a stranger's program, and what it does cannot be
// stopped from within the process that runs it: a range over 2^63 never ends
// and calls nothing that could be interrupted, a value that includes itself
// grows until the runtime dies of it, a string that is doubled 40 times takes
// all memory there is. So it runs in a process of its own: with an empty
// environment, in the root folder, with no open file but its input and its
// output, and with limits that the kernel keeps (Confine, on Linux) or that
// the parent keeps (time, size of the answer; everywhere).
//
// The request is one line of JSON on standard input, the answer the last line on
// standard output. The lines before it state which template is rendered, so that the
// error about a child that had to be killed can name it. This package holds both and links nothing of helm; the child's side is
// package render.
package child
