package main

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// Deterministic CBOR (RFC 8949 section 4.2.1), the part of it that parcels are made of: integers, byte and text strings, arrays,
// maps, null, and tag 18. What is not in its one shortest encoding is refused, so equal bytes and equal values are the same thing.

type tagged struct{ value any }

type cborReader struct {
	data  []byte
	at    int
	items int
}

// decode reads exactly one item. Its kinds: int64, []byte, string, []any, map[any]any (keys int64 or string), tagged, nil.
func decode(data []byte) any {
	reader := &cborReader{data: data}
	item := reader.item(0)
	if reader.at != len(data) {
		refuse("BAD_CBOR", "bytes follow the end of the item")
	}
	return item
}

func (r *cborReader) take(count uint64) []byte {
	if count > uint64(len(r.data)-r.at) {
		refuse("BAD_CBOR", "the bytes end inside an item")
	}
	r.at += int(count)
	return r.data[r.at-int(count) : r.at]
}

func (r *cborReader) head() (byte, uint64) {
	first := r.take(1)[0]
	low := first & 31
	if low < 24 {
		return first >> 5, uint64(low)
	}
	if low == 31 {
		refuse("NOT_CANONICAL", "indefinite length")
	}
	if low > 27 || first>>5 == 7 {
		refuse("BAD_CBOR", "a kind of value that parcels never hold")
	}
	var argument uint64
	for _, each := range r.take(1 << (low - 24)) {
		argument = argument<<8 | uint64(each)
	}
	if least := []uint64{24, 1 << 8, 1 << 16, 1 << 32}[low-24]; argument < least {
		refuse("NOT_CANONICAL", "a number not in its shortest form")
	}
	return first >> 5, argument
}

func (r *cborReader) item(depth int) any {
	if r.items++; depth > 8 || r.items > 4096 {
		refuse("BAD_CBOR", "nested too deep, or too many items")
	}
	major, argument := r.head()
	if major < 2 && argument>>63 == 1 {
		refuse("BAD_CBOR", "an integer beyond what parcels hold")
	}
	switch {
	case major == 0:
		return int64(argument)
	case major == 1:
		return -1 - int64(argument)
	case major == 2:
		return r.take(argument)
	case major == 3:
		text := r.take(argument)
		if !utf8.Valid(text) {
			refuse("BAD_CBOR", "text that is not UTF-8")
		}
		return string(text)
	case major == 4:
		list := []any{}
		for ; argument > 0; argument-- {
			list = append(list, r.item(depth+1))
		}
		return list
	case major == 5:
		return r.pairs(argument, depth)
	case major == 6 && argument == 18:
		return tagged{r.item(depth + 1)}
	case major == 7 && argument == 22:
		return nil
	}
	refuse("BAD_CBOR", fmt.Sprintf("a kind of value that parcels never hold: major type %d, %d", major, argument))
	return nil
}

func (r *cborReader) pairs(count uint64, depth int) any {
	found := map[any]any{}
	var before []byte
	for ; count > 0; count-- {
		start := r.at
		key := r.item(depth + 1)
		switch key.(type) {
		case int64, string:
		default:
			refuse("BAD_CBOR", "a key that is neither integer nor text")
		}
		if bytes.Compare(r.data[start:r.at], before) <= 0 {
			refuse("NOT_CANONICAL", "keys out of order, or one twice")
		}
		before = r.data[start:r.at]
		found[key] = r.item(depth + 1)
	}
	return found
}

// The heads of what is written: byte strings, texts, small arrays.
func head(major byte, argument int) []byte {
	switch {
	case argument < 24:
		return []byte{major<<5 | byte(argument)}
	case argument < 1<<8:
		return []byte{major<<5 | 24, byte(argument)}
	case argument < 1<<16:
		return []byte{major<<5 | 25, byte(argument >> 8), byte(argument)}
	}
	return []byte{major<<5 | 26, byte(argument >> 24), byte(argument >> 16), byte(argument >> 8), byte(argument)}
}

// array writes texts, byte strings and natural numbers as one CBOR array.
func array(parts ...any) []byte {
	out := head(4, len(parts))
	for _, part := range parts {
		switch value := part.(type) {
		case string:
			out = append(append(out, head(3, len(value))...), value...)
		case []byte:
			out = append(append(out, head(2, len(value))...), value...)
		case int:
			out = append(out, head(0, value)...)
		}
	}
	return out
}
