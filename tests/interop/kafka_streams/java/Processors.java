import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.ValueTransformerWithKey;
import org.apache.kafka.streams.processor.ProcessorContext;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The processors that users would write, by the step's `processor`; `processors.py` has the same in Python. */
final class Processors {
    private Processors() {
    }

    static KStream<Object, Object> process(StreamsBuilder builder, KStream<Object, Object> stream, JsonNode step) {
        String store = addStore(builder, step);
        return switch (step.get("processor").asText()) {
            case "running_count" -> stream.process(() -> new RunningCount(store), store);
            case "flush" -> stream.process(() -> new Flush(store, step), store);
            case "mark" -> stream.process(Mark::new);
            default -> throw new IllegalArgumentException("no processor " + step);
        };
    }

    static KStream<Object, Object> processValues(StreamsBuilder builder, KStream<Object, Object> stream, JsonNode step) {
        String store = addStore(builder, step);
        return switch (step.get("processor").asText()) {
            case "running_count" -> stream.processValues(() -> new RunningCountOfValues(store), store);
            case "changes_only" -> stream.processValues(() -> new ChangesOnly(store), store);
            default -> throw new IllegalArgumentException("no processor of values " + step);
        };
    }

    private static String addStore(StreamsBuilder builder, JsonNode step) {
        String name = step.get("id").asText() + "-store";
        if (!step.get("processor").asText().equals("mark")) {
            builder.addStateStore(Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore(name), Json.KEYS, Json.VALUES));
        }
        return name;
    }

    private static long counted(KeyValueStore<Object, Object> store, Object key) {
        Long before = Functions.n(store.get(key));
        long count = before == null ? 1 : before + 1;
        store.put(key, Functions.row(count, null, null));
        return count;
    }

    private static Object asRow(Object value) {
        return value == null ? null : Functions.row(Functions.n(value), Functions.s(value), Functions.d(value));
    }

    /** Each record with n how many its key has had so far; one without a key as it is, but a row. */
    private static final class RunningCount extends ContextualProcessor<Object, Object, Object, Object> {
        private final String store;

        RunningCount(String store) {
            this.store = store;
        }

        @Override
        public void process(Record<Object, Object> record) {
            if (record.key() == null) {
                context().forward(record.withValue(asRow(record.value())));
                return;
            }
            long count = counted(context().getStateStore(store), record.key());
            context().forward(record.withValue(Functions.row(count, Functions.s(record.value()), Functions.d(record.value()))));
        }
    }

    private static final class RunningCountOfValues extends ContextualFixedKeyProcessor<Object, Object, Object> {
        private final String store;
        private KeyValueStore<Object, Object> counts;

        RunningCountOfValues(String store) {
            this.store = store;
        }

        @Override
        public void init(FixedKeyProcessorContext<Object, Object> context) {
            super.init(context);
            counts = context.getStateStore(store);
        }

        @Override
        public void process(FixedKeyRecord<Object, Object> record) {
            if (record.key() == null) {
                context().forward(record.withValue(asRow(record.value())));
                return;
            }
            long count = counted(counts, record.key());
            context().forward(record.withValue(Functions.row(count, Functions.s(record.value()), Functions.d(record.value()))));
        }
    }

    /** Without deletions of keys that have no row (D6). */
    private static final class ChangesOnly extends ContextualFixedKeyProcessor<Object, Object, Object> {
        private final String store;

        ChangesOnly(String store) {
            this.store = store;
        }

        @Override
        public void process(FixedKeyRecord<Object, Object> record) {
            KeyValueStore<Object, Object> rows = context().getStateStore(store);
            if (record.value() != null || rows.get(record.key()) != null) {
                rows.put(record.key(), record.value() == null ? null : Functions.row(1L, null, null));
                context().forward(record);
            }
        }
    }

    /** Keeps the last value of each key; every `every_ms` of `time` ("stream" or "wall") forwards all of them and forgets them. */
    private static final class Flush extends ContextualProcessor<Object, Object, Object, Object> {
        private final String store;
        private final JsonNode step;

        Flush(String store, JsonNode step) {
            this.store = store;
            this.step = step;
        }

        @Override
        public void init(org.apache.kafka.streams.processor.api.ProcessorContext<Object, Object> context) {
            super.init(context);
            PunctuationType time = step.get("time").asText().equals("wall")
                ? PunctuationType.WALL_CLOCK_TIME : PunctuationType.STREAM_TIME;
            context.schedule(Duration.ofMillis(step.get("every_ms").asLong()), time, this::flush);
        }

        @Override
        public void process(Record<Object, Object> record) {
            if (record.key() != null) {
                context().<KeyValueStore<Object, Object>>getStateStore(store).put(record.key(), record.value());
            }
        }

        private void flush(long timestamp) {
            KeyValueStore<Object, Object> kept = context().getStateStore(store);
            List<KeyValue<Object, Object>> entries = new ArrayList<>();
            try (KeyValueIterator<Object, Object> all = kept.all()) {
                all.forEachRemaining(entries::add);
            }
            for (KeyValue<Object, Object> entry : entries) {
                kept.delete(entry.key);
                context().forward(new Record<>(entry.key, entry.value, timestamp));
            }
        }
    }

    /** Each record 1 ms later, under the header `mark` with its key, besides those it has. */
    private static final class Mark extends ContextualProcessor<Object, Object, Object, Object> {
        @Override
        public void process(Record<Object, Object> record) {
            RecordHeaders headers = new RecordHeaders(record.headers());
            headers.add("mark", String.valueOf(Functions.plain(record.key())).getBytes(StandardCharsets.UTF_8));
            context().forward(record.withHeaders(headers).withTimestamp(record.timestamp() + 1));
        }
    }

    /** Hands records on, and says when one comes whose time is more than `lateMs` behind the largest that all watches have seen. */
    static final class Watch extends ContextualFixedKeyProcessor<Object, Object, Object> {
        private final long[] streamTime;
        private final long lateMs;
        private final Runnable saysLate;

        Watch(long[] streamTime, long lateMs, Runnable saysLate) {
            this.streamTime = streamTime;
            this.lateMs = lateMs;
            this.saysLate = saysLate;
        }

        @Override
        public void process(FixedKeyRecord<Object, Object> record) {
            streamTime[0] = Math.max(streamTime[0], record.timestamp());
            if (record.timestamp() + lateMs < streamTime[0]) {
                saysLate.run();
            }
            context().forward(record);
        }
    }

    /** `table.transform_values` by a function of values. */
    static final class Transformer implements ValueTransformerWithKey<Object, Object, Object> {
        private final JsonNode fn;

        Transformer(JsonNode fn) {
            this.fn = fn;
        }

        @Override
        public void init(ProcessorContext context) {
            // it has no state
        }

        @Override
        public Object transform(Object key, Object value) {
            return Functions.value(fn, key, value);
        }

        @Override
        public void close() {
            // it holds nothing
        }
    }
}
