// A reader of parcels with Go's standard library alone: who signed, what the exchange says of the delivery, and that every section is
// the one that was signed. The format is described in tests/vectors/README.md. It prints one verdict a line, as JSON.
//
//	go -C docs/reader run . -directory keys.json -schemas ../../schemas [-recipient AE-CUSTOMS] FILE...
//
// keys.json: exchange_id, environment, keys {agency: [hex SubjectPublicKeyInfo]}, relay [the same]. Without -recipient a file is a
// record of an outbox. Exit code 0 where all verify, 1 where one does not, 2 for wrong use.
package main

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
)

type refusal struct{ code, reason string }

func refuse(code, reason string) { panic(refusal{code, reason}) }

// as gives what a part is refused for the code of the whole that it is a part of.
func as[T any](code string, read func() T) T {
	defer func() {
		if found := recover(); found != nil {
			refused, ok := found.(refusal)
			if !ok {
				panic(found)
			}
			refuse(code, refused.code+": "+refused.reason)
		}
	}()
	return read()
}

func need(holds bool, code, reason string) {
	if !holds {
		refuse(code, reason)
	}
}

type owned struct {
	owner string
	key   any
}

type exchange struct {
	ID          string              `json:"exchange_id"`
	Environment string              `json:"environment"`
	Keys        map[string][]string `json:"keys"`
	Relay       []string            `json:"relay"`

	agencies, relays map[string]owned
	header           any
	slips            map[string]any
}

var sectionName = regexp.MustCompile(`^[a-z_]{1,32}$`)

func frame(value []byte) (sign1, map[string][]byte, map[int64][]byte) {
	need(bytes.HasPrefix(value, []byte("XB\x01")), "NOT_A_PARCEL", "it does not begin with 58 42 01")
	parts, ok := decode(value[3:]).([]any)
	need(ok && len(parts) == 3, "BAD_PARCEL", "no array of three")
	s := statement(parts[0])
	held, heldOK := parts[1].(map[any]any)
	added, addedOK := parts[2].(map[any]any)
	need(heldOK && addedOK && len(held) <= 16 && len(added) <= 8, "BAD_PARCEL", "no two maps, or too large")
	sections, extras := map[string][]byte{}, map[int64][]byte{}
	for key, item := range held {
		name, nameOK := key.(string)
		carried, carriedOK := item.([]byte)
		need(nameOK && carriedOK && sectionName.MatchString(name), "BAD_PARCEL", "a section")
		sections[name] = carried
	}
	for key, item := range added {
		number, numberOK := key.(int64)
		carried, carriedOK := item.([]byte)
		need(numberOK && carriedOK && number >= 0 && number <= 65536, "BAD_PARCEL", "the exchange's part")
		extras[number] = carried
	}
	return s, sections, extras
}

func (x *exchange) author(s sign1) map[string]any {
	need(s.contentType == "application/vnd.broker.header+avro;v=1", "BAD_STATEMENT", "content type "+s.contentType)
	by, ok := x.agencies[string(s.kid)]
	need(ok, "UNKNOWN_KEY", hex.EncodeToString(s.kid))
	if !x.verifies(s, by.key, x.Environment) {
		for _, other := range []string{"production", "test", "exercise"} {
			need(!x.verifies(s, by.key, other), "WRONG_ENVIRONMENT", "signed for "+other)
		}
		refuse("BAD_SIGNATURE", "the originator's signature does not fit")
	}
	header := as("BAD_HEADER", func() map[string]any { return record(x.header, s.payload) })
	need(header["originator"] == by.owner, "KEY_OF_ANOTHER_AGENCY", "the header names "+fmt.Sprint(header["originator"]))
	return header
}

// delivery checks the relay's slip: for this recipient, of this parcel, with a full account of its sections.
func (x *exchange) delivery(extras map[int64][]byte, recipient string, leaf []byte, carried, committed []string) map[string]any {
	slip := as("BAD_SLIP", func() map[string]any {
		s := statement(decode(extras[1]))
		by, ok := x.relays[string(s.kid)]
		schema, isSlip := x.slips[s.contentType]
		need(ok && isSlip && x.verifies(s, by.key, x.Environment), "BAD_SIGNATURE", "no relay of this exchange signed it as a slip")
		return record(schema, s.payload)
	})
	need(slip["exchange_id"] == x.ID && slip["environment"] == x.Environment && slip["recipient"] == recipient,
		"NOT_FOR_ME", "for "+fmt.Sprint(slip["recipient"]))
	need(bytes.Equal(slip["leaf"].([]byte), leaf), "NOT_FOR_ME", "the slip is another parcel's")
	given, withheld := named(slip["given"]), named(slip["withheld"])
	all := append(append([]string{}, given...), withheld...)
	sort.Strings(all)
	need(fmt.Sprint(given) == fmt.Sprint(carried) && fmt.Sprint(all) == fmt.Sprint(committed),
		"BAD_SLIP", "the slip does not list exactly the sections carried and withheld")
	for section, purposes := range bound(slip) {
		need(slices.Contains(given, section) && len(purposes) > 0, "BAD_SLIP", "the slip binds what it does not give, or to nothing")
	}
	return slip
}

// bound is what the owner's consent alone gave, by section the purposes that it is for; nothing in a slip of version 1.
func bound(slip map[string]any) map[string][]any {
	found := map[string][]any{}
	entries, _ := slip["bound"].([]any)
	for _, each := range entries {
		entry := each.(map[string]any)
		found[entry["section"].(string)] = entry["purposes"].([]any)
	}
	return found
}

func named(entries any) []string {
	names := []string{}
	for _, entry := range entries.([]any) {
		names = append(names, entry.(map[string]any)["section"].(string))
	}
	sort.Strings(names)
	return names
}

func (x *exchange) sections(header map[string]any, sections map[string][]byte, complete bool) {
	digests, before := map[string][]byte{}, ""
	for _, each := range header["commitments"].([]any) {
		entry := each.(map[string]any)
		name := entry["section"].(string)
		need(name > before, "BAD_HEADER", "commitments out of order, or one twice")
		digests[name], before = entry["digest"].([]byte), name
	}
	for name, carried := range sections {
		digest, ok := digests[name]
		need(ok, "UNCOMMITTED_SECTION", name)
		need(bytes.Equal(sum(carried), digest), "COMMITMENT_MISMATCH", name)
		need(len(carried) >= 16, "BAD_STRUCTURE", name+" is shorter than a salt")
	}
	need(!complete || len(sections) == len(digests), "MISSING_SECTION", "an outbox's record carries every section")
}

func (x *exchange) verdict(file, recipient string, limit int64) (told map[string]any) {
	told = map[string]any{"file": file, "verified": false}
	defer func() {
		if found := recover(); found != nil {
			refused, ok := found.(refusal)
			if !ok {
				panic(found)
			}
			told["code"], told["reason"] = refused.code, refused.reason
		}
	}()
	value, err := os.ReadFile(file)
	need(err == nil, "NO_FILE", fmt.Sprint(err))
	need(int64(len(value)) <= limit, "TOO_LARGE", fmt.Sprintf("%d bytes", len(value)))
	s, sections, extras := frame(value)
	header := x.author(s)
	leaf := x.leaf(s)
	carried, committed := []string{}, []string{}
	for name := range sections {
		carried = append(carried, name)
	}
	for _, name := range named(header["commitments"]) {
		if name != "audience" {
			committed = append(committed, name)
		}
	}
	sort.Strings(carried)
	var slip map[string]any
	if recipient != "" {
		slip = x.delivery(extras, recipient, leaf, carried, committed)
	} else {
		need(len(extras) == 0, "BAD_PARCEL", "nothing of the exchange's is in an outbox; give -recipient for a delivery")
	}
	x.sections(header, sections, recipient == "")
	told["verified"], told["leaf"], told["sections"] = true, hex.EncodeToString(leaf), carried
	for _, name := range []string{"originator", "family", "subject", "revision"} {
		told[name] = header[name]
	}
	if told["batch"] = s.batch; recipient != "" {
		told["recipient"], told["counter"], told["rule"], told["withheld"] = recipient, slip["counter"], slip["rule"], named(slip["withheld"])
		told["bound"] = bound(slip)
	}
	return told
}

func keys(entries map[string][]string) map[string]owned {
	found := map[string]owned{}
	for owner, spkis := range entries {
		for _, text := range spkis {
			spki, err := hex.DecodeString(text)
			stop(err)
			key, err := x509.ParsePKIXPublicKey(spki)
			stop(err)
			found[string(sum(spki)[:16])] = owned{owner, key}
		}
	}
	return found
}

func load(path string, into any) {
	text, err := os.ReadFile(path)
	stop(err)
	stop(json.Unmarshal(text, into))
}

func stop(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func main() {
	directory := flag.String("directory", "", "the exchange's name and the public keys, JSON")
	schemas := flag.String("schemas", "schemas", "the folder of Avro schemas")
	recipient := flag.String("recipient", "", "whose inbox a delivery lay in; without it, a record of an outbox")
	limit := flag.Int64("limit", 1<<20+65536, "most bytes of a record")
	flag.Parse()
	x := exchange{}
	load(*directory, &x)
	load(filepath.Join(*schemas, "header", "v1", "header.avsc"), &x.header)
	x.slips = map[string]any{}
	for _, version := range []string{"1", "2"} {
		var schema any
		load(filepath.Join(*schemas, "slip", "v"+version, "slip.avsc"), &schema)
		x.slips["application/vnd.broker.slip+avro;v="+version] = schema
	}
	x.agencies, x.relays = keys(x.Keys), keys(map[string][]string{"relay": x.Relay})
	code := 0
	for _, file := range flag.Args() {
		told := x.verdict(file, *recipient, *limit)
		line, err := json.Marshal(told)
		stop(err)
		fmt.Println(string(line))
		if told["verified"] != true {
			code = 1
		}
	}
	os.Exit(code)
}
