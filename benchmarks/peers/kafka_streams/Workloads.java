import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.apache.kafka.streams.state.WindowStore;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;

/** The workloads as a user of Kafka Streams would write them, with JSON read and written field by field, without reflection. */
final class Workloads {
    static final AtomicBoolean FIRST = new AtomicBoolean();

    private static final JsonFactory JSON = new JsonFactory();
    private static final int PARTITIONS_MAX = 4;

    record Event(String user, double amount, boolean hasAmount, long ts) { }

    /** The sum of amounts is NaN, and null in JSON, where no event had one. */
    record Totals(long count, double total) {
        Totals with(Event event) {
            return new Totals(count + 1, !event.hasAmount ? total : Double.isNaN(total) ? event.amount : total + event.amount);
        }
    }

    private static final Totals NOTHING = new Totals(0, Double.NaN);

    record Enriched(Event event, double limit) { }

    private Workloads() { }

    static void build(StreamsBuilder builder, String workload, String input) {
        KStream<String, Event> events = workload.equals("restore") || workload.equals("latency")
            ? null : builder.stream(input, Consumed.with(Serdes.String(), EVENT)).peek((key, event) -> first());
        switch (workload) {
            case "windowed" -> windowed(events);
            case "stateless" -> events.filter((key, event) -> event.amount > 250)
                .mapValues(event -> new Event(event.user, event.amount * 2, true, event.ts))
                .to("doubled", Produced.with(Serdes.String(), EVENT));
            case "join" -> {
                KTable<String, Event> users = builder.table("users", Consumed.with(Serdes.String(), EVENT), Materialized.as("users"));
                events.join(users, (event, user) -> new Enriched(event, user.amount), Joined.with(Serdes.String(), EVENT, EVENT))
                    .to("enriched", Produced.with(Serdes.String(), ENRICHED));
            }
            case "agent" -> events.groupByKey(Grouped.with(Serdes.String(), EVENT)).aggregate(
                () -> 0.0, (user, event, spent) -> event.hasAmount ? spent + event.amount : spent,
                Materialized.<String, Double, KeyValueStore<Bytes, byte[]>>as("spent").withValueSerde(Serdes.Double()));
            case "keyed" -> events.groupByKey(Grouped.with(Serdes.String(), EVENT)).aggregate(
                () -> NOTHING, (user, event, totals) -> totals.with(event),
                Materialized.<String, Totals, KeyValueStore<Bytes, byte[]>>as("totals").withValueSerde(TOTALS));
            case "start" -> events.groupByKey(Grouped.with(Serdes.String(), EVENT))
                .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("seen"));
            case "restore" -> builder.table(input, Consumed.with(Serdes.String(), EVENT), Materialized.as("latest"))
                .toStream().foreach((key, event) -> first());
            case "latency" -> builder.stream(input, Consumed.with(Serdes.ByteArray(), EVENT))
                .peek((key, event) -> first())
                .mapValues(event -> new Event(event.user, event.amount * 2, event.hasAmount, event.ts))
                .to("doubled", Produced.with(Serdes.ByteArray(), EVENT));
            default -> throw new IllegalArgumentException(workload);
        }
    }

    private static void windowed(KStream<String, Event> events) {
        Materialized<String, Totals, WindowStore<Bytes, byte[]>> store = Materialized.as("totals");
        events.groupByKey(Grouped.with(Serdes.String(), EVENT))
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(10), Duration.ofSeconds(5)))
            .emitStrategy(EmitStrategy.onWindowClose())
            .aggregate(
                () -> NOTHING, (user, event, totals) -> totals.with(event),
                store.withKeySerde(Serdes.String()).withValueSerde(TOTALS).withRetention(Duration.ofDays(1)))
            .toStream((window, totals) -> "[\"" + window.key() + "\"," + window.window().start() + "," + window.window().end() + "]")
            .to("totals", Produced.with(Serdes.String(), TOTALS));
    }

    private static void first() {
        if (!FIRST.get() && FIRST.compareAndSet(false, true)) {
            Peer.tell(Map.of("event", "first", "ns", System.nanoTime()));
        }
    }

    /** How many entries a table has, and the sum of their timestamps: whether it is whole. */
    static Map<String, Object> sums(KafkaStreams streams, String table) {
        ReadOnlyKeyValueStore<String, Event> store =
            streams.store(StoreQueryParameters.fromNameAndType(table, QueryableStoreTypes.keyValueStore()));
        long entries = 0;
        long sum = 0;
        try (KeyValueIterator<String, Event> all = store.all()) {
            while (all.hasNext()) {
                sum += all.next().value.ts;
                entries++;
            }
        }
        return Map.of("entries", entries, "sum", sum);
    }

    /** The memory of RocksDB's blocks: 50 MB a store as Kafka Streams has it, or what the job says for all partitions. */
    public static final class BlockCache implements RocksDBConfigSetter {
        static volatile long bytes;

        private LRUCache cache;

        @Override
        public void setConfig(String store, Options options, Map<String, Object> configs) {
            if (bytes > 0) {
                BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
                cache = new LRUCache(bytes / PARTITIONS_MAX);
                table.setBlockCache(cache);
                options.setTableFormatConfig(table);
            }
        }

        @Override
        public void close(String store, Options options) {
            if (cache != null) {
                cache.close();
            }
        }
    }

    static final Serde<Event> EVENT = serde(Workloads::writeEvent, Workloads::readEvent);
    static final Serde<Totals> TOTALS = serde(Workloads::writeTotals, Workloads::readTotals);
    static final Serde<Enriched> ENRICHED = serde(Workloads::writeEnriched, parser -> {
        throw new IOException("written only");
    });

    private interface Write<T> {
        void write(JsonGenerator json, T value) throws IOException;
    }

    private interface Read<T> {
        T read(JsonParser json) throws IOException;
    }

    private static <T> Serde<T> serde(Write<T> write, Read<T> read) {
        Serializer<T> serializer = (topic, value) -> {
            if (value == null) {
                return null;
            }
            ByteArrayOutputStream bytes = new ByteArrayOutputStream(96);
            try (JsonGenerator json = JSON.createGenerator(bytes)) {
                json.writeStartObject();
                write.write(json, value);
                json.writeEndObject();
            } catch (IOException failed) {
                throw new UncheckedIOException(failed);
            }
            return bytes.toByteArray();
        };
        Deserializer<T> deserializer = (topic, bytes) -> {
            if (bytes == null) {
                return null;
            }
            try (JsonParser json = JSON.createParser(bytes)) {
                json.nextToken();
                return read.read(json);
            } catch (IOException failed) {
                throw new UncheckedIOException(failed);
            }
        };
        return Serdes.serdeFrom(serializer, deserializer);
    }

    private static void writeEvent(JsonGenerator json, Event event) throws IOException {
        json.writeStringField("user", event.user);
        json.writeNumberField("ts", event.ts);
        if (event.hasAmount) {
            json.writeNumberField("amount", event.amount);
        } else {
            json.writeNullField("amount");
        }
    }

    private static Event readEvent(JsonParser json) throws IOException {
        String user = null;
        double amount = 0;
        boolean hasAmount = false;
        long ts = 0;
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String name = json.currentName();
            JsonToken value = json.nextToken();
            switch (name) {
                case "user" -> user = json.getText();
                case "ts" -> ts = json.getLongValue();
                case "amount" -> {
                    hasAmount = value != JsonToken.VALUE_NULL;
                    amount = hasAmount ? json.getDoubleValue() : 0;
                }
                default -> json.skipChildren();
            }
        }
        return new Event(user, amount, hasAmount, ts);
    }

    private static void writeTotals(JsonGenerator json, Totals totals) throws IOException {
        json.writeNumberField("count", totals.count);
        if (Double.isNaN(totals.total)) {
            json.writeNullField("total");
        } else {
            json.writeNumberField("total", totals.total);
        }
    }

    private static Totals readTotals(JsonParser json) throws IOException {
        long count = 0;
        double total = 0;
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String name = json.currentName();
            JsonToken value = json.nextToken();
            if (name.equals("count")) {
                count = json.getLongValue();
            } else {
                total = value == JsonToken.VALUE_NULL ? Double.NaN : json.getDoubleValue();
            }
        }
        return new Totals(count, total);
    }

    private static void writeEnriched(JsonGenerator json, Enriched enriched) throws IOException {
        writeEvent(json, enriched.event);
        json.writeNumberField("limit", enriched.limit);
    }
}
