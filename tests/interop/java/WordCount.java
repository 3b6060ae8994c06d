import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * WordCount BOOTSTRAP APPLICATION INPUT OUTPUT WORDS STATE_DIR [NAME=VALUE...]: counts words exactly once until it has
 * counted so many, and prints `counted`.
 */
public final class WordCount {
    public static void main(String[] args) throws Exception {
        Properties config = new Properties();
        config.putAll(Map.of(
            StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0],
            StreamsConfig.APPLICATION_ID_CONFIG, args[1],
            StreamsConfig.STATE_DIR_CONFIG, args[5],
            StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2,
            StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 50,
            StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2,
            StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0,
            StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest"));
        for (String setting : List.of(args).subList(6, args.length)) {
            config.put(setting.substring(0, setting.indexOf('=')), setting.substring(setting.indexOf('=') + 1));
        }
        CountDownLatch words = new CountDownLatch(Integer.parseInt(args[4]));
        AtomicReference<Throwable> failure = new AtomicReference<>();
        try (KafkaStreams streams = new KafkaStreams(topology(args[2], args[3], words).build(config), config)) {
            streams.setUncaughtExceptionHandler(error -> {
                failure.set(error);
                while (words.getCount() > 0) {
                    words.countDown();
                }
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            if (!words.await(80, TimeUnit.SECONDS)) {
                throw new IllegalStateException(words.getCount() + " words are missing; state " + streams.state());
            }
            streams.close(CloseOptions.timeout(Duration.ofSeconds(20))
                .withGroupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
        }
        if (failure.get() != null) {
            throw new IllegalStateException(failure.get());
        }
        System.out.println("counted");
    }

    private static StreamsBuilder topology(String input, String output, CountDownLatch words) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(input, Consumed.with(Serdes.String(), Serdes.String()))
            .flatMapValues(line -> List.of(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.with("words", Serdes.String(), Serdes.String()))
            .count(Materialized.as("counts"))
            .toStream()
            .peek((word, count) -> words.countDown())
            .to(output, Produced.with(Serdes.String(), Serdes.Long()));
        return builder;
    }
}
