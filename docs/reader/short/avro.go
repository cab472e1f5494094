package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"sort"
)

// Avro's binary encoding, read by a schema as encoding/json gives it; and what else is no rule of the format.

type dict = map[string]any

// avro reads a value by its schema; named types are remembered as they come by.
func avro(schema any, b *bytes.Reader, named dict) any {
	long := func() int { n, _ := binary.ReadVarint(b); return int(n) }
	switch kind := schema.(type) {
	case []any:
		return avro(kind[long()], b, named)
	case string:
		switch kind {
		case "null":
			return nil
		case "boolean":
			one, _ := b.ReadByte()
			return one == 1
		case "int", "long":
			return long()
		case "bytes", "string":
			data := make([]byte, min(long(), b.Len()))
			b.Read(data)
			if kind == "bytes" {
				return hex.EncodeToString(data)
			}
			return string(data)
		}
		return avro(named[kind], b, named)
	}
	object := schema.(dict)
	switch object["type"] {
	case "record":
		found := dict{}
		for _, each := range object["fields"].([]any) {
			found[each.(dict)["name"].(string)] = avro(each.(dict)["type"], b, named)
		}
		return found
	case "enum":
		return object["symbols"].([]any)[long()]
	case "fixed":
		data := make([]byte, int(object["size"].(float64)))
		b.Read(data)
		return hex.EncodeToString(data)
	case "array":
		items := []any{}
		for n := long(); n != 0; n = long() {
			for ; n > 0; n-- {
				items = append(items, avro(object["items"], b, named))
			}
		}
		return items
	}
	return avro(object["type"], b, named)
}

// learn finds every named type of a schema: a later field may refer to one that an absent value defines.
func learn(schema any, named dict) dict {
	switch found := schema.(type) {
	case []any:
		for _, each := range found {
			learn(each, named)
		}
	case dict:
		if kind := found["type"]; kind == "record" || kind == "enum" || kind == "fixed" {
			named[found["name"].(string)] = found
		}
		for _, each := range found {
			learn(each, named)
		}
	}
	return named
}

// decode reads a whole body by the schema in a file.
func decode(file string, body []byte) dict {
	schema, b := load(os.Args[2]+"/"+file+".avsc"), bytes.NewReader(body)
	found := avro(schema, b, learn(schema, dict{})).(dict)
	need(b.Len() == 0, "bytes follow the end of a record")
	return found
}

var contentType = regexp.MustCompile(`application/vnd\.broker\.(\w+)\+avro;v=(\d)`)

// record decodes the payload of a statement, whose protected header has to say that it is of this kind, and says by which version.
func record(kind string, protected, payload []byte) dict {
	is := contentType.FindSubmatch(protected)
	need(is != nil && string(is[1]) == kind, "it is no "+kind)
	return decode(fmt.Sprintf("%s/v%s/%s", kind, is[2], kind), payload)
}

// section decodes a section by the schema that the header names by its hash.
func section(id any, body []byte) any {
	for file, entry := range load(os.Args[2] + "/released.json") {
		if entry.(dict)["schema_id"] == id {
			return decode(file, body)
		}
	}
	return nil
}

// names are the sections that a list of records names, sorted as commitments are.
func names(records any) string {
	found := []string{}
	for _, each := range records.([]any) {
		found = append(found, each.(dict)["section"].(string))
	}
	sort.Strings(found)
	return fmt.Sprint(found)
}

func read(path string) []byte {
	content, err := os.ReadFile(path)
	need(err == nil, "cannot read "+path)
	return content
}

func load(path string) (found dict) {
	need(json.Unmarshal(read(path), &found) == nil, "no JSON: "+path)
	return found
}

func need(holds bool, reason string) {
	if !holds {
		panic(reason)
	}
}

// refused says why not, also where bytes ended too early for the reader.
func refused() {
	if reason := recover(); reason != nil {
		fmt.Fprintln(os.Stderr, "refused:", reason)
		os.Exit(1)
	}
}
