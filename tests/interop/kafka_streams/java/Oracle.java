import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Properties;
import java.util.TreeSet;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyConfig;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers;
import org.apache.kafka.streams.test.TestRecord;

/**
 * Oracle STATE.FOLDER: what Kafka Streams answers. A case a line in, its answer a line out (README.md of the folder above):
 * builds the topology, drives it with TopologyTestDriver one event at a time, and says what came out after each.
 */
public final class Oracle {
    private static final int MAX_ERROR_LENGTH = 2000;

    public static void main(String[] args) throws Exception {
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        BufferedReader cases = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = cases.readLine(); line != null; line = cases.readLine()) {
            answers.println(Json.MAPPER.writeValueAsString(answer(Json.MAPPER.readTree(line), args[0])));
        }
        System.exit(0);
    }

    private static ObjectNode answer(JsonNode given, String stateFolder) {
        ObjectNode answer = Json.MAPPER.createObjectNode();
        ArrayNode after = answer.putArray("after");
        answer.putNull("error");
        try {
            Properties config = config(given, stateFolder);
            StreamsBuilder builder = new StreamsBuilder(new TopologyConfig(new StreamsConfig(config)));
            Topologies topologies = new Topologies(builder);
            topologies.build(given.get("steps"));
            Topology topology = builder.build(config);
            answer.put("topology", topology.describe().toString());
            try (TopologyTestDriver driver = new TopologyTestDriver(topology, config, Instant.ofEpochMilli(0))) {
                for (JsonNode event : given.path("input")) {
                    drive(driver, event);
                    after.add(outputs(driver));
                }
            }
            answer.set("late", Json.MAPPER.valueToTree(topologies.late));
        } catch (Exception failed) {
            answer.put("error", described(failed));
        }
        return answer;
    }

    /** Sessions that close leave by end, start and key out of Kafka's default stores, out of those in memory by end, key and start. */
    private static boolean closesSessions(JsonNode given) {
        boolean sessions = false;
        boolean closes = false;
        for (JsonNode step : given.path("steps")) {
            sessions |= step.path("window").path("kind").asText().equals("session");
            closes |= step.path("emit").asText().equals("close");
        }
        return sessions && closes;
    }

    /** No caching, in-memory stores, and the two throttles by system time (1 s each) set to nothing. */
    private static Properties config(JsonNode given, String stateFolder) {
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, "oracle");
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "none:1");
        config.put(StreamsConfig.STATE_DIR_CONFIG, stateFolder);
        config.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Json.KeySerde.class);
        config.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Json.ValueSerde.class);
        config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        config.put(StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG, closesSessions(given)
            ? BuiltInDslStoreSuppliers.RocksDBDslStoreSuppliers.class
            : BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers.class);
        config.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, given.path("optimize").asText(StreamsConfig.NO_OPTIMIZATION));
        config.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_OUTER_JOIN_SPURIOUS_RESULTS_FIX, 0L);
        config.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION, 0L);
        return config;
    }

    private static void drive(TopologyTestDriver driver, JsonNode event) {
        if (event.has("advance_ms")) {
            driver.advanceWallClockTime(Duration.ofMillis(event.get("advance_ms").asLong()));
            return;
        }
        TestInputTopic<Object, Object> topic =
            driver.createInputTopic(event.get("topic").asText(), Json.KEYS.serializer(), Json.VALUES.serializer());
        Object key = event.path("key").isTextual() ? event.get("key").asText() : null;
        topic.pipeInput(new TestRecord<>(key, Json.orNull(event.get("value")), headers(event), event.get("timestamp").asLong()));
    }

    private static Headers headers(JsonNode event) {
        Headers headers = new RecordHeaders();
        for (JsonNode pair : event.path("headers")) {
            headers.add(pair.get(0).asText(), pair.get(1).asText().getBytes(StandardCharsets.UTF_8));
        }
        return headers;
    }

    /** What was written since the last call, internal topics left out: {topic: [[key, value, timestamp, headers], ...]}. */
    private static ObjectNode outputs(TopologyTestDriver driver) {
        ObjectNode outputs = Json.MAPPER.createObjectNode();
        for (String name : new TreeSet<>(driver.producedTopicNames())) {
            if (name.startsWith("oracle-")) {
                continue;
            }
            TestOutputTopic<Object, Object> topic =
                driver.createOutputTopic(name, Json.KEYS.deserializer(), Json.VALUES.deserializer());
            ArrayNode records = Json.MAPPER.createArrayNode();
            topic.readRecordsToList().forEach(record -> records.add(record(record)));
            if (!records.isEmpty()) {
                outputs.set(name, records);
            }
        }
        return outputs;
    }

    private static ArrayNode record(TestRecord<Object, Object> record) {
        ArrayNode entry = Json.MAPPER.createArrayNode();
        entry.add(Json.ofKey(record.key())).add((JsonNode) record.value()).add(record.timestamp());
        ArrayNode headers = entry.addArray();
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(new String(header.value(), StandardCharsets.UTF_8));
        }
        return entry;
    }

    private static String described(Throwable failed) {
        StringBuilder text = new StringBuilder(failed.toString());
        for (Throwable cause = failed.getCause(); cause != null; cause = cause.getCause()) {
            text.append("\ncaused by ").append(cause);
        }
        text.append("\nat ").append(failed.getStackTrace()[0]);
        return text.substring(0, Math.min(text.length(), MAX_ERROR_LENGTH));
    }
}
