package main

import "unicode/utf8"

// Avro's binary encoding, read by a schema as encoding/json gives it. Logical types stay physical. The one encoding that this exchange
// writes is read, and no other: shortest integers, lists in one block.

type avroReader struct {
	data  []byte
	at    int
	named map[string]any
}

// record reads a whole Avro body.
func record(schema any, data []byte) map[string]any {
	reader := &avroReader{data: data, named: map[string]any{}}
	reader.learn(schema)
	found := reader.value(schema).(map[string]any)
	if reader.at != len(data) {
		refuse("BAD_STRUCTURE", "bytes follow the end of the record")
	}
	return found
}

// learn finds every named type: a later field may refer to it, also where the one that defines it is null.
func (r *avroReader) learn(schema any) {
	switch kind := schema.(type) {
	case []any:
		for _, branch := range kind {
			r.learn(branch)
		}
	case map[string]any:
		_, isType := kind["type"].(string)
		if name, ok := kind["name"].(string); ok && isType && (kind["fields"] != nil || kind["symbols"] != nil || kind["size"] != nil) {
			r.named[name] = schema
		}
		for _, inner := range []string{"type", "items", "fields"} {
			r.learn(kind[inner])
		}
	}
}

func (r *avroReader) take(count int64) []byte {
	if count < 0 || count > int64(len(r.data)-r.at) {
		refuse("BAD_STRUCTURE", "the bytes end inside the record")
	}
	r.at += int(count)
	return r.data[r.at-int(count) : r.at]
}

func (r *avroReader) long() int64 {
	var zigzag uint64
	for shift := 0; ; shift += 7 {
		each := r.take(1)[0]
		if shift > 63 || (shift == 63 && each > 1) || (shift > 0 && each == 0) {
			refuse("BAD_STRUCTURE", "an integer not in its shortest form")
		}
		zigzag |= uint64(each&127) << shift
		if each < 128 {
			return int64(zigzag>>1) ^ -int64(zigzag&1)
		}
	}
}

func (r *avroReader) among(count int) int {
	index := r.long()
	if index < 0 || index >= int64(count) {
		refuse("BAD_STRUCTURE", "a branch or symbol that the schema does not have")
	}
	return int(index)
}

func (r *avroReader) value(schema any) any {
	switch kind := schema.(type) {
	case []any:
		return r.value(kind[r.among(len(kind))])
	case string:
		return r.simple(kind)
	}
	object := schema.(map[string]any)
	switch object["type"] {
	case "record":
		found := map[string]any{}
		for _, each := range object["fields"].([]any) {
			field := each.(map[string]any)
			found[field["name"].(string)] = r.value(field["type"])
		}
		return found
	case "enum":
		symbols := object["symbols"].([]any)
		return symbols[r.among(len(symbols))]
	case "fixed":
		return r.take(int64(object["size"].(float64)))
	case "array":
		list := []any{}
		count := r.long()
		for at := int64(0); at < count; at++ {
			list = append(list, r.value(object["items"]))
		}
		if count < 0 || (count > 0 && r.long() != 0) {
			refuse("BAD_STRUCTURE", "a list not in one block")
		}
		return list
	}
	return r.value(object["type"])
}

func (r *avroReader) simple(kind string) any {
	switch kind {
	case "null":
		return nil
	case "boolean":
		each := r.take(1)[0]
		if each > 1 {
			refuse("BAD_STRUCTURE", "a boolean is 0 or 1")
		}
		return each == 1
	case "int", "long":
		return r.long()
	case "bytes":
		return r.take(r.long())
	case "string":
		text := r.take(r.long())
		if !utf8.Valid(text) {
			refuse("BAD_STRUCTURE", "text that is not UTF-8")
		}
		return string(text)
	}
	return r.value(r.named[kind])
}
