import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.kstream.Windowed;

/**
 * The functions that users would write, as data: {"fn": name, ...}. `functions.py` has the same in Python; whatever is
 * added goes into both.
 *
 * A value is a row {"n": whole number, "s": text, "d": float}, each of which may be missing; a bare number is a row with
 * only an n (what `count` gives).
 */
final class Functions {
    private Functions() {
    }

    // -- rows

    static Long n(Object value) {
        JsonNode node = Json.of(value);
        if (node == null || node.isNumber()) {
            return node == null ? null : (Long) node.asLong();
        }
        return node.hasNonNull("n") ? (Long) node.get("n").asLong() : null;
    }

    static String s(Object value) {
        JsonNode node = Json.of(value);
        return node != null && node.hasNonNull("s") ? node.get("s").asText() : null;
    }

    static Double d(Object value) {
        JsonNode node = Json.of(value);
        return node != null && node.hasNonNull("d") ? (Double) node.get("d").asDouble() : null;
    }

    static ObjectNode row(Long n, String s, Double d) {
        ObjectNode row = Json.MAPPER.createObjectNode();
        if (n != null) {
            row.put("n", n);
        }
        if (s != null) {
            row.put("s", s);
        }
        if (d != null) {
            row.put("d", d);
        }
        return row;
    }

    private static long orZero(Long n) {
        return n == null ? 0 : n;
    }

    private static double orZero(Double d) {
        return d == null ? 0 : d;
    }

    /** The text of a row; of a null `null`, of a row without text `-`. */
    private static String text(Object value) {
        return value == null ? "null" : s(value) == null ? "-" : s(value);
    }

    private static String text(String key) {
        return key == null ? "null" : key;
    }

    /** The key itself, also of a window's key. */
    static String plain(Object key) {
        return key instanceof Windowed<?> windowed ? plain(windowed.key()) : (String) key;
    }

    // -- of a record

    /** True, false, or null where the field it asks for is missing: then `filter` and `filter_not` both drop the record. */
    static Boolean holds(JsonNode fn, Object key, Object value) {
        Long n = n(value);
        String name = fn.get("fn").asText();
        return switch (name) {
            case "is_even" -> n == null ? null : (Boolean) (Math.floorMod(n, 2) == 0);
            case "n_less" -> n == null ? null : (Boolean) (n < fn.get("than").asLong());
            case "s_is" -> s(value) == null ? null : (Boolean) s(value).equals(fn.get("text").asText());
            case "d_more" -> d(value) == null ? null : (Boolean) (d(value) > fn.get("than").asDouble());
            case "has_n" -> n != null;
            case "has_value" -> value != null;
            case "key_is" -> fn.get("key").asText().equals(plain(key));
            case "any" -> true;
            default -> throw new IllegalArgumentException("no predicate " + name);
        };
    }

    /** A new value; but for `make`, nothing comes of a null. */
    static Object value(JsonNode fn, Object key, Object value) {
        String name = fn.get("fn").asText();
        if (name.equals("make")) {
            return row(fn.get("n").asLong(), null, null);
        }
        if (value == null) {
            return null;
        }
        Long n = n(value);
        return switch (name) {
            case "same" -> value;
            case "add" -> row(n == null ? null : (Long) (n + fn.get("by").asLong()), s(value), d(value));
            case "n_plus" -> n == null ? null : Json.of(n + fn.get("by").asLong());
            case "tag" -> row(n, text(value) + fn.get("text").asText(), d(value));
            case "with_key" -> row(n, text(plain(key)) + "=" + text(value), d(value));
            case "null_if" -> Boolean.TRUE.equals(holds(fn.get("if"), key, value)) ? null : value;
            default -> throw new IllegalArgumentException("no function of values " + name);
        };
    }

    static Object key(JsonNode fn, Object key, Object value) {
        Long n = n(value);
        String name = fn.get("fn").asText();
        return switch (name) {
            case "same_key" -> key;
            case "plain_key" -> plain(key);
            case "s_key" -> s(value);
            case "mod_key" -> n == null ? null : String.valueOf(Math.floorMod(n, fn.get("by").asLong()));
            case "const_key" -> fn.get("key").asText();
            case "key_and" -> text(plain(key)) + fn.get("text").asText();
            case "null_key" -> null;
            case "window_key" -> key instanceof Windowed<?> windowed
                ? plain(key) + "@" + windowed.window().start() + "-" + windowed.window().end() : plain(key);
            default -> throw new IllegalArgumentException("no function of keys " + name);
        };
    }

    /** {"key": function of keys, "value": function of values}. */
    static KeyValue<Object, Object> pair(JsonNode fn, Object key, Object value) {
        return KeyValue.pair(key(fn.get("key"), key, value), value(fn.get("value"), key, value));
    }

    /** `twice`: the value and the value with a mark; `times_n`: n mod 3 copies, numbered; nothing comes of a null. */
    static List<Object> values(JsonNode fn, Object key, Object value) {
        List<Object> values = new ArrayList<>();
        if (value == null) {
            return values;
        }
        String name = fn.get("fn").asText();
        switch (name) {
            case "twice" -> {
                values.add(row(n(value), s(value), d(value)));
                values.add(row(n(value), text(value) + "'", d(value)));
            }
            case "times_n" -> {
                for (long copy = 0; copy < Math.floorMod(orZero(n(value)), 3); copy++) {
                    values.add(row(copy, s(value), null));
                }
            }
            default -> throw new IllegalArgumentException("no function of many values " + name);
        }
        return values;
    }

    /** {"key": function of keys, "values": function of many values}: the key function sees each new value. */
    static List<KeyValue<Object, Object>> pairs(JsonNode fn, Object key, Object value) {
        List<KeyValue<Object, Object>> pairs = new ArrayList<>();
        values(fn.get("values"), key, value).forEach(made -> pairs.add(KeyValue.pair(key(fn.get("key"), key, made), made)));
        return pairs;
    }

    /** `topics`: one of them by n, the first where there is none. */
    static String topic(JsonNode fn, Object key, Object value) {
        JsonNode topics = fn.get("topics");
        return topics.get((int) Math.floorMod(orZero(n(value)), (long) topics.size())).asText();
    }

    // -- of two values

    /** Zeros; for `named` nothing, as it begins with the first that is not missing. */
    static Object initial(JsonNode fn) {
        return fn.get("fn").asText().equals("named") ? row(null, null, null) : row(0L, "", 0.0);
    }

    static Object aggregated(JsonNode fn, Object key, Object value, Object before) {
        Object aggregate = before == null ? initial(fn) : before;
        String name = fn.get("fn").asText();
        return switch (name) {
            case "fold" -> folded(fn, aggregate, value, "|", 1);
            case "unfold" -> folded(fn, aggregate, value, "~", -1);
            case "named" -> named(fn, value, aggregate);
            case "count" -> Json.of(orZero(n(aggregate)) + 1);
            default -> throw new IllegalArgumentException("no aggregator " + name);
        };
    }

    static Object reduced(JsonNode fn, Object old, Object value) {
        String name = fn.get("fn").asText();
        return switch (name) {
            case "fold" -> folded(fn, old, value, "|", 1);
            case "unfold" -> folded(fn, old, value, "~", -1);
            case "last" -> value;
            default -> throw new IllegalArgumentException("no reducer " + name);
        };
    }

    static Object merged(JsonNode fn, Object key, Object one, Object other) {
        return folded(fn, one, other, "&", 1);
    }

    /** Both as one, in order; `null_at`: null where the sum is divided by it. */
    private static Object folded(JsonNode fn, Object one, Object other, String mark, int sign) {
        long n = orZero(n(one)) + sign * orZero(n(other));
        if (fn.has("null_at") && Math.floorMod(n, fn.get("null_at").asLong()) == 0) {
            return null;
        }
        return row(n, text(one) + mark + text(other), orZero(d(one)) + sign * orZero(d(other)));
    }

    /** {"fn": "named", "n": "count" | "sum" | ..., "s": ..., "d": ...}: each field by an aggregate of its own, missing ones left out. */
    private static ObjectNode named(JsonNode fn, Object value, Object aggregate) {
        Long n = n(aggregate);
        String s = s(aggregate);
        Double d = d(aggregate);
        if (fn.has("n")) {
            n = fn.get("n").asText().equals("count") ? (Long) (orZero(n) + 1) : better(fn.get("n").asText(), n, n(value));
        }
        if (fn.has("s")) {
            s = better(fn.get("s").asText(), s, s(value));
        }
        if (fn.has("d")) {
            d = better(fn.get("d").asText(), d, d(value));
        }
        return row(n, s, d);
    }

    @SuppressWarnings("unchecked")
    private static <T extends Comparable<T>> T better(String aggregate, T state, T given) {
        if (given == null || state == null) {
            return given == null ? state : given;
        }
        return switch (aggregate) {
            case "sum" -> state instanceof Long whole
                ? (T) (Object) (whole + (Long) given) : (T) (Object) ((Double) (Object) state + (Double) (Object) given);
            case "min" -> given.compareTo(state) < 0 ? given : state;
            case "max" -> given.compareTo(state) > 0 ? given : state;
            case "first" -> state;
            case "last" -> given;
            default -> throw new IllegalArgumentException("no aggregate " + aggregate);
        };
    }

    /** `pair`: both texts, and the difference; `with_key`: and the key; `null_at`: null where the difference is divided by it. */
    static Object joined(JsonNode fn, Object key, Object left, Object right) {
        long n = orZero(n(left)) - orZero(n(right));
        if (fn.has("null_at") && Math.floorMod(n, fn.get("null_at").asLong()) == 0) {
            return null;
        }
        String marked = fn.path("with_key").asBoolean() ? text(plain(key)) + ":" : "";
        return row(n, marked + "(" + text(left) + "," + text(right) + ")", d(left) == null ? d(right) : d(left));
    }
}
