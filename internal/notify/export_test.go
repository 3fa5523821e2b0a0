package notify

// What tests look at.
var ErrNoStore = errNoStore

const MemoryKey = memoryKey
