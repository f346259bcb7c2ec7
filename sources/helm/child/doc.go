// Package child runs the program that renders charts: this program again, as a
// child process with limits.
//
// The template of a chart is a stranger's program, and the process that runs it
// cannot stop it: a range over 2^63 never ends and calls nothing that could be
// interrupted, a value that includes itself grows until the runtime crashes,
// and a string that is doubled 40 times takes all memory. So templates run in a
// process of their own. It has an empty environment, the root folder as its
// working directory, and no open file but its input and output. The kernel
// limits its memory and processor time (Confine, on Linux), and the parent its
// time and the size of its answer (everywhere).
//
// The request is one line of JSON on standard input, the answer the last line
// on standard output. The lines before it name the template that is rendered,
// so that the error about a killed child can name it too. This package has the
// parent's side and links nothing of helm; package render has the child's.
package child
