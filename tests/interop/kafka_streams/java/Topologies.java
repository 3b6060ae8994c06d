import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiFunction;
import java.util.function.Supplier;
import java.util.stream.StreamSupport;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Branched;
import org.apache.kafka.streams.kstream.BranchedKStream;
import org.apache.kafka.streams.kstream.CogroupedKStream;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.GlobalKTable;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KGroupedTable;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.KeyValueMapper;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Merger;
import org.apache.kafka.streams.kstream.Predicate;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.SessionWindowedKStream;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.Suppressed.EagerBufferConfig;
import org.apache.kafka.streams.kstream.Suppressed.StrictBufferConfig;
import org.apache.kafka.streams.kstream.TimeWindowedKStream;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.UnlimitedWindows;
import org.apache.kafka.streams.kstream.ValueJoiner;
import org.apache.kafka.streams.kstream.ValueJoinerWithKey;
import org.apache.kafka.streams.kstream.ValueMapperWithKey;
import org.apache.kafka.streams.kstream.Windows;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Steps as data into calls on a StreamsBuilder: one line of `OPS` for each `op`. README.md of the folder above says what the
 * steps hold. Keys and values are Objects (see Json), so that any step may follow any other.
 *
 * Long because it has every operation of the DSL, and what each gives back.
 */
@SuppressWarnings("unchecked")
final class Topologies {
    private interface Op {
        Object apply(Topologies made, JsonNode step);
    }

    private static final Map<String, Op> OPS = new HashMap<>();

    static {
        OPS.put("stream", (made, step) -> made.builder.stream(texts(step.has("topics") ? step.get("topics") : step.get("topic"))));
        OPS.put("table", Topologies::table);
        OPS.put("global_table", (made, step) -> made.builder.globalTable(step.get("topic").asText()));
        OPS.put("filter", (made, step) -> made.filter(step, false));
        OPS.put("filter_not", (made, step) -> made.filter(step, true));
        OPS.put("map", (made, step) -> made.stream(step).map((key, value) -> Functions.pair(step.get("fn"), key, value)));
        OPS.put("map_values", Topologies::mapValues);
        OPS.put("flat_map", (made, step) -> made.stream(step).flatMap((key, value) -> Functions.pairs(step.get("fn"), key, value)));
        OPS.put("flat_map_values", (made, step) ->
            made.stream(step).flatMapValues((key, value) -> Functions.values(step.get("fn"), key, value)));
        OPS.put("select_key", (made, step) -> made.stream(step).selectKey(keys(step.get("fn"))));
        OPS.put("peek", (made, step) -> made.stream(step).peek((key, value) -> { }));
        OPS.put("merge", (made, step) -> made.stream(step).merge(made.stream(step, 1)));
        OPS.put("split", Topologies::split);
        OPS.put("repartition", (made, step) -> made.stream(step).repartition(Repartitioned.with(null, null)));
        OPS.put("to_table", (made, step) -> made.stream(step).toTable());
        OPS.put("process", (made, step) -> Processors.process(made.builder, made.stream(step), step));
        OPS.put("process_values", (made, step) -> Processors.processValues(made.builder, made.stream(step), step));
        OPS.put("to", Topologies::to);

        OPS.put("group_by_key", (made, step) -> made.stream(step).groupByKey(Grouped.as(step.get("id").asText())));
        OPS.put("group_by", Topologies::groupBy);
        OPS.put("windowed_by", (made, step) -> windowedBy((KGroupedStream<Object, Object>) made.parent(step, 0), step.get("window")));
        OPS.put("count", Topologies::count);
        OPS.put("reduce", Topologies::reduce);
        OPS.put("aggregate", Topologies::aggregate);
        OPS.put("cogroup", Topologies::cogroup);

        OPS.put("to_stream", (made, step) ->
            step.has("fn") ? made.table(step, 0).toStream(keys(step.get("fn"))) : made.table(step, 0).toStream());
        OPS.put("transform_values", (made, step) ->
            made.table(step, 0).transformValues(() -> new Processors.Transformer(step.get("fn"))));
        OPS.put("suppress", (made, step) -> made.table(step, 0).suppress(suppressed(step)));

        OPS.put("join", Topologies::join);
        OPS.put("left_join", Topologies::leftJoin);
        OPS.put("outer_join", Topologies::outerJoin);
    }

    private final StreamsBuilder builder;
    private final Map<String, Object> made = new HashMap<>();
    /** The joins of two streams to which a late record came. */
    final Set<String> late = new TreeSet<>();

    Topologies(StreamsBuilder builder) {
        this.builder = builder;
    }

    void build(JsonNode steps) {
        for (JsonNode step : steps) {
            Op op = OPS.get(step.get("op").asText());
            if (op == null) {
                throw new IllegalArgumentException("no op " + step.get("op") + "; there are " + OPS.keySet());
            }
            Object result = op.apply(this, step);
            if (step.has("id")) {
                made.put(step.get("id").asText(), result);
            }
        }
    }

    // -- parents

    private Object parent(JsonNode step, int place) {
        JsonNode from = step.get("from");
        String id = (from.isArray() ? from.get(place) : from).asText();
        if (!made.containsKey(id)) {
            throw new IllegalArgumentException("no step " + id + " before " + step);
        }
        return made.get(id);
    }

    private KStream<Object, Object> stream(JsonNode step) {
        return stream(step, 0);
    }

    private KStream<Object, Object> stream(JsonNode step, int place) {
        return (KStream<Object, Object>) parent(step, place);
    }

    private KTable<Object, Object> table(JsonNode step, int place) {
        return (KTable<Object, Object>) parent(step, place);
    }

    private static List<String> texts(JsonNode one) {
        return one.isTextual() ? List.of(one.asText())
            : StreamSupport.stream(one.spliterator(), false).map(JsonNode::asText).toList();
    }

    private static Duration ms(JsonNode step, String name) {
        return Duration.ofMillis(step.path(name).asLong());
    }

    private static KeyValueMapper<Object, Object, Object> keys(JsonNode fn) {
        return (key, value) -> Functions.key(fn, key, value);
    }

    // -- inputs and outputs

    private Object table(JsonNode step) {
        String topic = step.get("topic").asText();
        Consumed<Object, Object> consumed = Consumed.with(null, null);
        if (step.has("history_ms")) {
            return builder.table(topic, consumed, Materialized.as(
                Stores.persistentVersionedKeyValueStore(topic + "-versioned", ms(step, "history_ms"))));
        }
        return step.path("materialized").asBoolean() ? builder.table(topic, consumed, named(step)) : builder.table(topic, consumed);
    }

    private Object to(JsonNode step) {
        Produced<Object, Object> produced = Produced.with(Json.KEYS, Json.VALUES);
        if (step.has("fn")) {
            stream(step).to((key, value, context) -> Functions.topic(step.get("fn"), key, value), produced);
        } else {
            stream(step).to(step.get("topic").asText(), produced);
        }
        return null;
    }

    // -- of streams and of tables

    private Object filter(JsonNode step, boolean negate) {
        Predicate<Object, Object> keeps = (key, value) -> Boolean.valueOf(!negate).equals(Functions.holds(step.get("fn"), key, value));
        Predicate<Object, Object> predicate = negate ? (key, value) -> !keeps.test(key, value) : keeps;
        if (parent(step, 0) instanceof KTable<?, ?>) {
            KTable<Object, Object> table = table(step, 0);
            if (step.path("materialized").asBoolean()) {
                return negate ? table.filterNot(predicate, named(step)) : table.filter(predicate, named(step));
            }
            return negate ? table.filterNot(predicate) : table.filter(predicate);
        }
        return negate ? stream(step).filterNot(predicate) : stream(step).filter(predicate);
    }

    private Object mapValues(JsonNode step) {
        ValueMapperWithKey<Object, Object, Object> mapper = (key, value) -> Functions.value(step.get("fn"), key, value);
        if (parent(step, 0) instanceof KTable<?, ?>) {
            return step.path("materialized").asBoolean()
                ? table(step, 0).mapValues(mapper, named(step)) : table(step, 0).mapValues(mapper);
        }
        return stream(step).mapValues(mapper);
    }

    /** The branches are the steps `ID.0`, `ID.1`, ... and `ID.default`. */
    private Object split(JsonNode step) {
        String id = step.get("id").asText();
        BranchedKStream<Object, Object> branched = stream(step).split();
        int number = 0;
        for (JsonNode fn : step.get("branches")) {
            String branch = id + "." + number++;
            branched = branched.branch(
                (key, value) -> Boolean.TRUE.equals(Functions.holds(fn, key, value)),
                Branched.withConsumer(stream -> made.put(branch, stream)));
        }
        if (step.path("default").asBoolean()) {
            branched.defaultBranch(Branched.withConsumer(stream -> made.put(id + ".default", stream)));
        } else {
            branched.noDefaultBranch();
        }
        return null;
    }

    // -- groups

    private Object groupBy(JsonNode step) {
        JsonNode fn = step.get("fn");
        return parent(step, 0) instanceof KTable<?, ?>
            ? table(step, 0).groupBy((key, value) -> Functions.pair(fn, key, value))
            : stream(step).groupBy(keys(fn), Grouped.as(step.get("id").asText()));
    }

    private static Object windowedBy(KGroupedStream<Object, Object> grouped, JsonNode window) {
        if (window.get("kind").asText().equals("sliding")) {
            return grouped.windowedBy(sliding(window));
        }
        return window.get("kind").asText().equals("session") ? grouped.windowedBy(session(window)) : grouped.windowedBy(aligned(window));
    }

    private static SlidingWindows sliding(JsonNode window) {
        return SlidingWindows.ofTimeDifferenceAndGrace(ms(window, "difference"), ms(window, "grace"));
    }

    private static SessionWindows session(JsonNode window) {
        return SessionWindows.ofInactivityGapAndGrace(ms(window, "gap"), ms(window, "grace"));
    }

    private static Windows<?> aligned(JsonNode window) {
        String kind = window.get("kind").asText();
        if (kind.equals("unlimited")) {
            return UnlimitedWindows.of().startOn(Instant.ofEpochMilli(window.path("start").asLong()));
        }
        TimeWindows windows = TimeWindows.ofSizeAndGrace(ms(window, "size"), ms(window, "grace"));
        return kind.equals("hopping") ? windows.advanceBy(ms(window, "step")) : windows;
    }

    /** A store that is named, and so is there even if nothing needs it. */
    private static <V> Materialized<Object, V, KeyValueStore<Bytes, byte[]>> named(JsonNode step) {
        return Materialized.as(step.get("id").asText());
    }

    /** `retention_ms` is how long the store keeps windows. */
    private static <V, S extends StateStore> Materialized<Object, V, S> kept(JsonNode step) {
        Materialized<Object, V, S> kept = Materialized.with(null, null);
        return step.has("retention_ms") ? kept.withRetention(ms(step, "retention_ms")) : kept;
    }

    private static EmitStrategy emit(JsonNode step) {
        return step.path("emit").asText().equals("close") ? EmitStrategy.onWindowClose() : EmitStrategy.onWindowUpdate();
    }

    private static final JsonNode COUNT = Json.MAPPER.createObjectNode().put("fn", "count");

    /** `first_replaces_nothing`: it begins with null, so that no first change says it replaces an initial value (D8). */
    private static Object initial(JsonNode step, JsonNode fn) {
        return step.path("first_replaces_nothing").asBoolean() ? null : Functions.initial(fn);
    }

    private static Object count(Topologies made, JsonNode step) {
        Object parent = made.parent(step, 0);
        if (step.path("first_replaces_nothing").asBoolean()) {
            return made.aggregate(((ObjectNode) step.deepCopy()).set("fn", COUNT));
        }
        if (parent instanceof KGroupedStream<?, ?> grouped) {
            return grouped.count();
        }
        if (parent instanceof KGroupedTable<?, ?> grouped) {
            return grouped.count();
        }
        if (parent instanceof SessionWindowedKStream<?, ?>) {
            return ((SessionWindowedKStream<Object, Object>) parent).emitStrategy(emit(step)).count(kept(step));
        }
        return ((TimeWindowedKStream<Object, Object>) parent).emitStrategy(emit(step)).count(kept(step));
    }

    private Object reduce(JsonNode step) {
        JsonNode fn = step.get("fn");
        Object parent = parent(step, 0);
        if (parent instanceof KGroupedTable<?, ?>) {
            return ((KGroupedTable<Object, Object>) parent).reduce(
                (old, value) -> Functions.reduced(fn, old, value),
                (old, value) -> Functions.reduced(step.get("subtract"), old, value));
        }
        if (parent instanceof KGroupedStream<?, ?>) {
            return ((KGroupedStream<Object, Object>) parent).reduce((old, value) -> Functions.reduced(fn, old, value));
        }
        if (parent instanceof SessionWindowedKStream<?, ?>) {
            return ((SessionWindowedKStream<Object, Object>) parent).emitStrategy(emit(step))
                .reduce((old, value) -> Functions.reduced(fn, old, value), kept(step));
        }
        return ((TimeWindowedKStream<Object, Object>) parent).emitStrategy(emit(step))
            .reduce((old, value) -> Functions.reduced(fn, old, value), kept(step));
    }

    private Object aggregate(JsonNode step) {
        JsonNode fn = step.get("fn");
        Object parent = parent(step, 0);
        if (parent instanceof KGroupedTable<?, ?>) {
            JsonNode subtract = step.get("subtract");
            return ((KGroupedTable<Object, Object>) parent).aggregate(
                () -> initial(step, fn),
                (key, value, aggregate) -> Functions.aggregated(fn, key, value, aggregate),
                (key, value, aggregate) -> Functions.aggregated(subtract, key, value, aggregate));
        }
        if (parent instanceof KGroupedStream<?, ?>) {
            return ((KGroupedStream<Object, Object>) parent).aggregate(
                () -> initial(step, fn), (key, value, aggregate) -> Functions.aggregated(fn, key, value, aggregate));
        }
        if (parent instanceof SessionWindowedKStream<?, ?>) {
            return ((SessionWindowedKStream<Object, Object>) parent).emitStrategy(emit(step)).aggregate(
                () -> Functions.initial(fn), (key, value, aggregate) -> Functions.aggregated(fn, key, value, aggregate),
                merger(step), kept(step));
        }
        return ((TimeWindowedKStream<Object, Object>) parent).emitStrategy(emit(step)).aggregate(
            () -> initial(step, fn), (key, value, aggregate) -> Functions.aggregated(fn, key, value, aggregate), kept(step));
    }

    private static Merger<Object, Object> merger(JsonNode step) {
        return (key, one, other) -> Functions.merged(step.get("merge"), key, one, other);
    }

    /** `from` the groups, `fns` an aggregator for each. */
    private Object cogroup(JsonNode step) {
        CogroupedKStream<Object, Object> cogrouped = null;
        for (int place = 0; place < step.get("from").size(); place++) {
            JsonNode fn = step.get("fns").get(place);
            KGroupedStream<Object, Object> grouped = (KGroupedStream<Object, Object>) parent(step, place);
            cogrouped = cogrouped == null
                ? grouped.cogroup((key, value, aggregate) -> Functions.aggregated(fn, key, value, aggregate))
                : cogrouped.cogroup(grouped, (key, value, aggregate) -> Functions.aggregated(fn, key, value, aggregate));
        }
        JsonNode first = step.get("fns").get(0);
        JsonNode window = step.get("window");
        if (window == null) {
            return cogrouped.aggregate(() -> initial(step, first));
        }
        return switch (window.get("kind").asText()) {
            case "session" -> cogrouped.windowedBy(session(window)).aggregate(() -> Functions.initial(first), merger(step), kept(step));
            case "sliding" -> cogrouped.windowedBy(sliding(window)).aggregate(() -> initial(step, first), kept(step));
            default -> cogrouped.windowedBy(aligned(window)).aggregate(() -> initial(step, first), kept(step));
        };
    }

    private static <K> Suppressed<K> suppressed(JsonNode step) {
        boolean stops = step.path("when_full").asText().equals("stop");
        if (step.path("until").asText().equals("close")) {
            StrictBufferConfig strict = step.has("max_records")
                ? BufferConfig.maxRecords(step.get("max_records").asLong()).shutDownWhenFull() : BufferConfig.unbounded();
            return (Suppressed<K>) Suppressed.untilWindowCloses(strict);
        }
        if (!step.has("max_records")) {
            return Suppressed.untilTimeLimit(ms(step, "until_ms"), BufferConfig.unbounded());
        }
        EagerBufferConfig bounded = BufferConfig.maxRecords(step.get("max_records").asLong());
        return stops ? Suppressed.untilTimeLimit(ms(step, "until_ms"), bounded.shutDownWhenFull())
            : Suppressed.untilTimeLimit(ms(step, "until_ms"), bounded.emitEarlyWhenFull());
    }

    // -- joins: what the other side is, says which

    private static ValueJoiner<Object, Object, Object> joiner(JsonNode step) {
        return (left, right) -> Functions.joined(step.get("fn"), null, left, right);
    }

    private static ValueJoinerWithKey<Object, Object, Object, Object> joinerWithKey(JsonNode step) {
        return (key, left, right) -> Functions.joined(step.get("fn"), key, left, right);
    }

    private static JoinWindows within(JsonNode step) {
        JsonNode within = step.get("within");
        // Of either side alone, the window must not be empty at any step.
        String wider = within.get("before").asLong() > within.get("after").asLong() ? "before" : "after";
        return JoinWindows.ofTimeDifferenceAndGrace(ms(within, wider), ms(within, "grace"))
            .before(ms(within, "before")).after(ms(within, "after"));
    }

    /**
     * Both sides of a join of two streams, watched for late records: for an inner join those whose grace is over, for the others
     * also those that come when a record may have left alone before them, or might leave alone while their own grace lasts.
     */
    private List<KStream<Object, Object>> watched(JsonNode step) {
        JsonNode within = step.get("within");
        long reach = Math.min(within.get("before").asLong(), within.get("after").asLong());
        boolean inner = step.get("op").asText().equals("join");
        long graceMs = within.path("grace").asLong();
        long lateMs = inner ? reach + graceMs : Math.min(reach, graceMs);
        long[] streamTime = {Long.MIN_VALUE};
        Supplier<Processors.Watch> watch = () -> new Processors.Watch(streamTime, lateMs, () -> late.add(step.get("id").asText()));
        KStream<Object, Object> left = stream(step).processValues(watch::get);
        return List.of(left, parent(step, 0) == parent(step, 1) ? left : stream(step, 1).processValues(watch::get));
    }

    private static Joined<Object, Object, Object> joined(JsonNode step) {
        Joined<Object, Object, Object> joined = Joined.with(null, null, null);
        return step.has("grace_ms") ? joined.withGracePeriod(ms(step, "grace_ms")) : joined;
    }

    private static BiFunction<Object, Object, Object> foreignKey(JsonNode step) {
        return (key, value) -> Functions.key(step.get("foreign_key"), key, value);
    }

    private static Object join(Topologies made, JsonNode step) {
        Object other = made.parent(step, 1);
        if (made.parent(step, 0) instanceof KTable<?, ?>) {
            KTable<Object, Object> right = (KTable<Object, Object>) other;
            return step.has("foreign_key")
                ? made.table(step, 0).join(right, foreignKey(step), joiner(step)) : made.table(step, 0).join(right, joiner(step));
        }
        KStream<Object, Object> left = made.stream(step);
        if (other instanceof KStream<?, ?>) {
            List<KStream<Object, Object>> sides = made.watched(step);
            return sides.get(0).join(sides.get(1), joinerWithKey(step), within(step), StreamJoined.with(null, null, null));
        }
        return other instanceof GlobalKTable<?, ?>
            ? left.join((GlobalKTable<Object, Object>) other, keys(step.get("key")), joinerWithKey(step))
            : left.join((KTable<Object, Object>) other, joinerWithKey(step), joined(step));
    }

    private static Object leftJoin(Topologies made, JsonNode step) {
        Object other = made.parent(step, 1);
        if (made.parent(step, 0) instanceof KTable<?, ?>) {
            KTable<Object, Object> right = (KTable<Object, Object>) other;
            return step.has("foreign_key")
                ? made.table(step, 0).leftJoin(right, foreignKey(step), joiner(step)) : made.table(step, 0).leftJoin(right, joiner(step));
        }
        KStream<Object, Object> left = made.stream(step);
        if (other instanceof KStream<?, ?>) {
            List<KStream<Object, Object>> sides = made.watched(step);
            return sides.get(0).leftJoin(sides.get(1), joinerWithKey(step), within(step), StreamJoined.with(null, null, null));
        }
        return other instanceof GlobalKTable<?, ?>
            ? left.leftJoin((GlobalKTable<Object, Object>) other, keys(step.get("key")), joinerWithKey(step))
            : left.leftJoin((KTable<Object, Object>) other, joinerWithKey(step), joined(step));
    }

    private static Object outerJoin(Topologies made, JsonNode step) {
        if (made.parent(step, 0) instanceof KTable<?, ?>) {
            return made.table(step, 0).outerJoin(made.table(step, 1), joiner(step));
        }
        List<KStream<Object, Object>> sides = made.watched(step);
        return sides.get(0).outerJoin(sides.get(1), joinerWithKey(step), within(step), StreamJoined.with(null, null, null));
    }
}
