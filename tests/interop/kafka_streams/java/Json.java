import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.LongNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serdes.WrapperSerde;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.internals.SessionWindow;

/** Keys are text, or a key of a window as {"key", "start", "end"}; values are JSON. A null is no bytes at all. */
final class Json {
    static final ObjectMapper MAPPER = new ObjectMapper();
    static final Serde<Object> KEYS = new KeySerde();
    static final Serde<Object> VALUES = new ValueSerde();

    public static final class KeySerde extends WrapperSerde<Object> {
        public KeySerde() {
            super((topic, key) -> key == null ? null : keyBytes(key), (topic, bytes) -> bytes == null ? null : key(bytes));
        }
    }

    public static final class ValueSerde extends WrapperSerde<Object> {
        public ValueSerde() {
            super((topic, value) -> value == null ? null : bytes(of(value)), (topic, bytes) -> bytes == null ? null : read(bytes));
        }
    }

    private Json() {
    }

    /** A value of the DSL as JSON: what counts, a Long, becomes a number. */
    static JsonNode of(Object value) {
        return value instanceof Long number ? LongNode.valueOf(number) : (JsonNode) value;
    }

    static JsonNode ofKey(Object key) {
        if (key == null) {
            return NullNode.getInstance();
        }
        if (key instanceof Windowed<?> windowed) {
            ObjectNode node = MAPPER.createObjectNode();
            node.set("key", ofKey(windowed.key()));
            return node.put("start", windowed.window().start()).put("end", windowed.window().end());
        }
        return TextNode.valueOf((String) key);
    }

    static JsonNode orNull(JsonNode value) {
        return value == null || value.isNull() ? null : value;
    }

    private static byte[] keyBytes(Object key) {
        return key instanceof String text ? text.getBytes(StandardCharsets.UTF_8) : bytes(ofKey(key));
    }

    private static Object key(byte[] bytes) {
        if (bytes.length == 0 || bytes[0] != '{') {
            return new String(bytes, StandardCharsets.UTF_8);
        }
        JsonNode node = read(bytes);
        return new Windowed<>(node.get("key").asText(), new SessionWindow(node.get("start").asLong(), node.get("end").asLong()));
    }

    private static byte[] bytes(JsonNode value) {
        try {
            return MAPPER.writeValueAsBytes(value);
        } catch (JsonProcessingException impossible) {
            throw new UncheckedIOException(impossible);
        }
    }

    private static JsonNode read(byte[] bytes) {
        try {
            return MAPPER.readTree(bytes);
        } catch (IOException malformed) {
            throw new UncheckedIOException(malformed);
        }
    }
}
