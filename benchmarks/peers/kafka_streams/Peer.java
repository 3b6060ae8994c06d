import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.LogAndContinueExceptionHandler;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.StateRestoreListener;

/**
 * Kafka Streams under measurement, one job after the other in one JVM, so that a run begins with code that is compiled.
 * In: {"do": "start", "workload": ..., "address": ..., "app": ..., "state": folder, "threads": n, "guarantee": ...,
 * "commit_ms": n, "linger_ms": n, "cache_bytes": n, "input": topic}, later {"do": "stop"}. Out: {"event": "first", "ns": ...}
 * when the first record is processed, {"event": "restored", ...} when all stores are, {"event": "stopped"}.
 */
public final class Peer {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final PrintStream ANSWERS = System.out;

    private static KafkaStreams running;

    public static void main(String[] args) throws Exception {
        System.setOut(System.err);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode job = JSON.readTree(line);
            if (job.get("do").asText().equals("start")) {
                start(job);
            } else {
                stop(job);
            }
        }
        System.exit(0);
    }

    /** Tells the other process. */
    static synchronized void tell(Map<String, Object> event) {
        try {
            ANSWERS.println(JSON.writeValueAsString(event));
            ANSWERS.flush();
        } catch (Exception failed) {
            throw new IllegalStateException(failed);
        }
    }

    private static void start(JsonNode job) {
        StreamsBuilder builder = new StreamsBuilder();
        Properties settings = settings(job);
        Workloads.FIRST.set(false);
        Workloads.build(builder, job.get("workload").asText(), job.get("input").asText());
        running = new KafkaStreams(builder.build(settings), settings);
        running.setUncaughtExceptionHandler(failed -> {
            failed.printStackTrace();
            tell(Map.of("event", "failed", "error", failed.toString()));
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Restored restored = new Restored();
        running.setGlobalStateRestoreListener(restored);
        running.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.RUNNING && restored.records > 0) {
                restored.tellOnce();
            }
        });
        running.start();
    }

    private static void stop(JsonNode job) {
        Map<String, Object> event = new LinkedHashMap<>();
        if (job.hasNonNull("table")) {
            event.putAll(Workloads.sums(running, job.get("table").asText()));
        }
        running.close(CloseOptions.groupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP)
            .withTimeout(Duration.ofSeconds(60)));
        event.put("event", "stopped");
        tell(event);
    }

    private static Properties settings(JsonNode job) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, job.get("app").asText());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, job.get("address").asText());
        settings.put(StreamsConfig.STATE_DIR_CONFIG, job.get("state").asText());
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, job.get("threads").asInt());
        boolean exactlyOnce = job.get("guarantee").asText().equals("exactly_once");
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, exactlyOnce ? StreamsConfig.EXACTLY_ONCE_V2 : StreamsConfig.AT_LEAST_ONCE);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, job.get("commit_ms").asLong());
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, job.get("cache_bytes").asLong());
        settings.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
        // Records that do not decode go to a dead-letter topic (KIP-1034), as ours do.
        settings.put(StreamsConfig.DESERIALIZATION_EXCEPTION_HANDLER_CLASS_CONFIG, LogAndContinueExceptionHandler.class);
        settings.put(StreamsConfig.ERRORS_DEAD_LETTER_QUEUE_TOPIC_NAME_CONFIG, job.get("app").asText() + "-dead-letter");
        // A window's result leaves when the window closes, not up to a second later: the closing record is the last.
        settings.put("__emit.interval.ms.kstreams.windowed.aggregation__", 0L);
        // The records are years old, and the broker deletes by their time.
        settings.put(StreamsConfig.WINDOW_STORE_CHANGE_LOG_ADDITIONAL_RETENTION_MS_CONFIG, Duration.ofDays(36500).toMillis());
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG), job.get("app").asText());
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), job.get("linger_ms").asText());
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 128 * 1024);
        settings.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, Workloads.BlockCache.class);
        Workloads.BlockCache.bytes = job.get("block_cache_bytes").asLong();
        return settings;
    }

    /** From the first changelog record asked for to the last store ready. */
    private static final class Restored implements StateRestoreListener {
        private long began;
        private long ended;
        private long records;
        private boolean told;

        @Override
        public synchronized void onRestoreStart(TopicPartition partition, String store, long start, long end) {
            began = began == 0 ? System.nanoTime() : began;
        }

        @Override
        public void onBatchRestored(TopicPartition partition, String store, long end, long count) {
            // counted at the end
        }

        @Override
        public synchronized void onRestoreEnd(TopicPartition partition, String store, long count) {
            records += count;
            ended = System.nanoTime();
        }

        synchronized void tellOnce() {
            if (!told) {
                told = true;
                tell(Map.of("event", "restored", "began_ns", began, "ended_ns", ended, "records", records));
            }
        }
    }
}
