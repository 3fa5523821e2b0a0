package pipeline

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrPanic says that a fault of the program ended the work on one source or
// sink. Its stack was logged.
var ErrPanic = errors.New("a fault in the program; its stack is in the log")

// guard does something, and makes a panic of it an error: in a goroutine of its
// own it would end the process, and with it what other sources and sinks do.
func (p *Pipeline) guard(source, sink string, do func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = ErrPanic
			p.log().Error("panic", "source", source, "sink", sink, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	do()
	return nil
}
