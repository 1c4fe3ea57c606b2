/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that sends arbitrary messages, valid or not, and prints the replies.
 *
 *     raw ENDPOINT REQUEST...
 *
 * A request is a JSON object, which is sent as a msgpack map.  Strings stand for values that JSON
 * has no type for: "hex:00ff" for bytes, "uint:N" for an unsigned number.  "_frames" is not part of
 * the header but a list of payload frames:
 *
 *     "f32 1 2.5"   "i64 -1 7"   "zero 4096"   "hex 00ff"   "file PATH"   ""
 *
 * "_repeat": N sends the request N times before reading the replies.  A request that begins with
 * "hex:" is a list of raw frames, instead of delimiter, header and payload: "hex:,81" is two
 * frames, the first of them empty.  "file:PATH" sends a file as the header.
 *
 * With RAW_CURVE set, "SERVER-KEY PUBLIC-KEY SECRET-KEY", the connection is under CURVE.
 *
 * With RAW_KEY set, the connection first sends that API key, with a ping that is not printed.
 *
 * Each reply is printed as one line of JSON, in which "_frames" lists the sizes of its payload
 * frames.  RAW_PAUSE: milliseconds to wait before each request.  With RAW_HEX set, the frames that
 * are sent and received are printed instead, as lines of hexadecimal digits after "> " and "< ".
 * With RAW_SAVE set to a PATH, the payload frames go to files, PATH.1 and so on.  If none comes
 * within RAW_SECONDS (default 20), it prints "no reply" and exits with 1.
 */
#include <errno.h>
#include <jansson.h>
#include <msgpack.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "raw: %s: %s\n", what, why);
    exit(2);
}

/* --- frames out --- */

static size_t hex(const char *s, size_t n, unsigned char *out)
{
    size_t i = 0;
    for (; i + 1 < n + 1 && s[2 * i] && 2 * i < n; i++) {
        unsigned byte;
        if (sscanf(s + 2 * i, "%2x", &byte) != 1)
            die(s, "not hexadecimal");
        out[i] = (unsigned char)byte;
    }
    return i;
}

static void show_frame(char direction, const unsigned char *data, size_t size)
{
    printf("%c ", direction);
    for (size_t k = 0; k < size; k++)
        printf("%02x", data[k]);
    puts("");
}

static void send_frame(void *socket, const void *data, size_t size, int more)
{
    if (getenv("RAW_HEX") && size)
        show_frame('>', data, size);
    if (zmq_send(socket, data, size, more ? ZMQ_SNDMORE : 0) < 0)
        die("send", zmq_strerror(errno));
}

/* Sends the content of a file. */
static void send_file(void *socket, const char *path, int more)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        die(path, strerror(errno));
    size_t size = (size_t)ftell(f);
    char *data = malloc(size + 1);
    rewind(f);
    if (!data || fread(data, 1, size, f) != size)
        die(path, "cannot be read");
    fclose(f);
    send_frame(socket, data, size, more);
    free(data);
}

static void send_payload(void *socket, const char *text, int more)
{
    size_t size = 0, room = strlen(text) * 8 + 8;
    char kind[8] = "", *end;
    int used = 0;
    sscanf(text, "%7s%n", kind, &used);
    const char *rest = text + used;
    if (strcmp(kind, "file") == 0) {
        send_file(socket, rest + 1, more);
        return;
    }
    if (strcmp(kind, "zero") == 0)
        size = room = strtoull(rest, NULL, 10);
    char *data = calloc(room ? room : 1, 1);
    if (!data)
        die(text, "out of memory");
    if (strcmp(kind, "hex") == 0) {
        size = hex(rest + 1, strlen(rest + 1), (unsigned char *)data);
    } else if (strcmp(kind, "f32") == 0) {
        for (float v; v = strtof(rest, &end), end != rest; rest = end, size += sizeof v)
            memcpy(data + size, &v, sizeof v);
    } else if (strcmp(kind, "i64") == 0) {
        for (int64_t v; v = strtoll(rest, &end, 10), end != rest; rest = end, size += sizeof v)
            memcpy(data + size, &v, sizeof v);
    } else if (*kind && strcmp(kind, "zero") != 0) {
        die(text, "no frame");
    }
    send_frame(socket, data, size, more);
    free(data);
}

/* --- JSON to msgpack --- */

static void pack(msgpack_packer *pk, const json_t *v);

static void pack_string(msgpack_packer *pk, const char *s, size_t n)
{
    if (strncmp(s, "hex:", 4) == 0) {
        unsigned char *bytes = malloc(n);
        size_t size = bytes ? hex(s + 4, n - 4, bytes) : 0;
        msgpack_pack_bin(pk, size);
        msgpack_pack_bin_body(pk, bytes, size);
        free(bytes);
    } else if (strncmp(s, "uint:", 5) == 0) {
        msgpack_pack_uint64(pk, strtoull(s + 5, NULL, 10));
    } else {
        msgpack_pack_str(pk, n);
        msgpack_pack_str_body(pk, s, n);
    }
}

static void pack_object(msgpack_packer *pk, const json_t *v)
{
    const char *key;
    json_t *e;
    size_t n = 0;
    json_object_foreach((json_t *)v, key, e) n += key[0] != '_';
    msgpack_pack_map(pk, n);
    json_object_foreach((json_t *)v, key, e)
    {
        if (key[0] == '_')
            continue;
        pack_string(pk, key, strlen(key));
        pack(pk, e);
    }
}

static void pack(msgpack_packer *pk, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        pack_object(pk, v);
        break;
    case JSON_ARRAY:
        msgpack_pack_array(pk, json_array_size(v));
        for (size_t i = 0; i < json_array_size(v); i++)
            pack(pk, json_array_get(v, i));
        break;
    case JSON_STRING:
        pack_string(pk, json_string_value(v), json_string_length(v));
        break;
    case JSON_INTEGER:
        msgpack_pack_int64(pk, json_integer_value(v));
        break;
    case JSON_REAL:
        msgpack_pack_double(pk, json_real_value(v));
        break;
    case JSON_TRUE:
        msgpack_pack_true(pk);
        break;
    case JSON_FALSE:
        msgpack_pack_false(pk);
        break;
    case JSON_NULL:
        msgpack_pack_nil(pk);
    }
}

/* --- msgpack to JSON --- */

static json_t *unpack(const msgpack_object *o)
{
    json_t *v;
    char number[32];
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        return json_null();
    case MSGPACK_OBJECT_BOOLEAN:
        return json_boolean(o->via.boolean);
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        if (o->via.u64 <= INT64_MAX)
            return json_integer((json_int_t)o->via.u64);
        snprintf(number, sizeof number, "uint:%llu", (unsigned long long)o->via.u64);
        return json_string(number);
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return json_integer(o->via.i64);
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return json_real(o->via.f64);
    case MSGPACK_OBJECT_STR:
        return json_stringn(o->via.str.ptr, o->via.str.size);
    case MSGPACK_OBJECT_BIN: {
        char *text = malloc(2 * o->via.bin.size + 5u);
        if (!text)
            die("reply", "out of memory");
        strcpy(text, "hex:");
        for (uint32_t i = 0; i < o->via.bin.size; i++)
            sprintf(text + 4 + 2 * i, "%02x", (unsigned char)o->via.bin.ptr[i]);
        v = json_string(text);
        free(text);
        return v;
    }
    case MSGPACK_OBJECT_ARRAY:
        v = json_array();
        for (uint32_t i = 0; i < o->via.array.size; i++)
            json_array_append_new(v, unpack(&o->via.array.ptr[i]));
        return v;
    case MSGPACK_OBJECT_MAP:
        v = json_object();
        for (uint32_t i = 0; i < o->via.map.size; i++) {
            const msgpack_object *k = &o->via.map.ptr[i].key;
            if (k->type == MSGPACK_OBJECT_STR)
                json_object_setn_new(v, k->via.str.ptr, k->via.str.size,
                                     unpack(&o->via.map.ptr[i].val));
        }
        return v;
    default:
        return json_string("(extension)");
    }
}

/* --- requests and replies --- */

static void send_as_is(void *socket, const char *text)
{
    unsigned char *bytes = malloc(strlen(text) + 1);
    for (;;) {
        const char *end = strchr(text, ',');
        size_t n = end ? (size_t)(end - text) : strlen(text);
        send_frame(socket, bytes, hex(text, n, bytes), end != NULL);
        if (!end)
            break;
        text = end + 1;
    }
    free(bytes);
}

/* Sends a request.  Returns how many replies to expect. */
static long send_request(void *socket, const char *text)
{
    if (strncmp(text, "hex:", 4) == 0) {
        send_as_is(socket, text + 4);
        return 1;
    }
    if (strncmp(text, "file:", 5) == 0) {
        send_frame(socket, "", 0, 1);
        send_file(socket, text + 5, 0);
        return 1;
    }
    json_error_t error;
    json_t *request = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!request)
        die(text, error.text);
    json_t *frames = json_object_get(request, "_frames");
    json_t *repeat = json_object_get(request, "_repeat");
    long n = repeat ? (long)json_integer_value(repeat) : 1;
    size_t nframes = json_array_size(frames);
    msgpack_sbuffer header;
    msgpack_packer pk;
    msgpack_sbuffer_init(&header);
    msgpack_packer_init(&pk, &header, msgpack_sbuffer_write);
    pack(&pk, request);
    for (long k = 0; k < n; k++) {
        send_frame(socket, "", 0, 1);
        send_frame(socket, header.data, header.size, nframes > 0);
        for (size_t i = 0; i < nframes; i++)
            send_payload(socket, json_string_value(json_array_get(frames, i)), i + 1 < nframes);
    }
    msgpack_sbuffer_destroy(&header);
    json_decref(request);
    return n;
}

static int more(void *socket)
{
    int yes = 0;
    size_t size = sizeof yes;
    zmq_getsockopt(socket, ZMQ_RCVMORE, &yes, &size);
    return yes;
}

/* Frame i of a reply, as RAW_HEX and RAW_SAVE say.  0 is the delimiter, 1 the header. */
static void keep_frame(int i, zmq_msg_t *frame)
{
    const char *path = getenv("RAW_SAVE");
    const unsigned char *data = zmq_msg_data(frame);
    size_t size = zmq_msg_size(frame);
    char name[4096];
    if (getenv("RAW_HEX") && i > 0)
        show_frame('<', data, size);
    if (!path || i < 2)
        return;
    snprintf(name, sizeof name, "%s.%d", path, i - 1);
    FILE *f = fopen(name, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        die(name, "cannot be written");
}

/* Receives a reply.  Returns 0 if one came. */
static int take_reply(void *socket, int print)
{
    zmq_msg_t frame;
    msgpack_unpacked unpacked;
    json_t *reply = NULL, *sizes = json_array();
    for (int i = 0; i == 0 || more(socket); i++) {
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, socket, 0) < 0) {
            zmq_msg_close(&frame);
            json_decref(sizes);
            if (errno != EAGAIN)
                die("receive", zmq_strerror(errno));
            puts("no reply");
            return 1;
        }
        keep_frame(i, &frame);
        if (i == 1) {
            msgpack_unpacked_init(&unpacked);
            if (msgpack_unpack_next(&unpacked, zmq_msg_data(&frame), zmq_msg_size(&frame), NULL) ==
                MSGPACK_UNPACK_SUCCESS)
                reply = unpack(&unpacked.data);
            msgpack_unpacked_destroy(&unpacked);
        } else if (i > 1) {
            json_array_append_new(sizes, json_integer((json_int_t)zmq_msg_size(&frame)));
        }
        zmq_msg_close(&frame);
    }
    if (!json_is_object(reply))
        die("reply", "no header");
    json_object_set_new(reply, "_frames", sizes);
    char *text = json_dumps(reply, JSON_COMPACT | JSON_SORT_KEYS);
    if (!getenv("RAW_HEX") && (print || strstr(text, "\"error\"")))
        puts(text);
    free(text);
    json_decref(reply);
    return 0;
}

static int show_key(void *socket, const char *key)
{
    char ping[512];
    snprintf(ping, sizeof ping, "{\"operation\":\"ping\",\"api_key\":\"%s\"}", key);
    send_request(socket, ping);
    return take_reply(socket, 0);
}

static void use_curve(void *socket, const char *keys)
{
    char server[41], public_key[41], secret[41];
    if (sscanf(keys, "%40s %40s %40s", server, public_key, secret) != 3 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server, 41) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public_key, 41) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, 41) != 0)
        die("RAW_CURVE", "not three CURVE keys");
}

int main(int argc, char **argv)
{
    const char *seconds = getenv("RAW_SECONDS"), *pause = getenv("RAW_PAUSE");
    int arg = 1, rc = 0;
    if (argc < 3)
        die("usage", "raw ENDPOINT REQUEST...");
    void *zmq = zmq_ctx_new(), *socket = zmq_socket(zmq, ZMQ_DEALER);
    int wait = (seconds ? atoi(seconds) : 20) * 1000, linger = 0;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &wait, sizeof wait);
    zmq_setsockopt(socket, ZMQ_SNDTIMEO, &wait, sizeof wait);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    if (getenv("RAW_CURVE"))
        use_curve(socket, getenv("RAW_CURVE"));
    if (zmq_connect(socket, argv[arg]) != 0)
        die(argv[arg], zmq_strerror(errno));
    const char *key = getenv("RAW_KEY");
    if (key)
        rc = show_key(socket, key);
    while (++arg < argc && rc == 0) {
        zmq_poll(NULL, 0, pause ? atoi(pause) : 0);
        for (long n = send_request(socket, argv[arg]); n > 0 && rc == 0; n--)
            rc = take_reply(socket, 1);
    }
    zmq_close(socket);
    zmq_ctx_term(zmq);
    return rc;
}
