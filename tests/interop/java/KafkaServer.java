import java.io.FileInputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import kafka.tools.StorageTool;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.utils.Time;

/**
 * KafkaServer SERVER.PROPERTIES [FORMAT OPTION...]: formats the data folder if it is new, starts the broker, prints `ready`,
 * and stops when standard input ends: a broker never outlives the process that wanted it.
 */
public final class KafkaServer {
    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        try (FileInputStream file = new FileInputStream(args[0])) {
            properties.load(file);
        }
        PrintStream answers = System.out;
        System.setOut(System.err);
        if (!Files.exists(Path.of(properties.getProperty("log.dirs"), "meta.properties"))) {
            format(args);
        }
        KafkaRaftServer server = new KafkaRaftServer(KafkaConfig.fromProps(properties), Time.SYSTEM);
        server.startup();
        answers.println("ready");
        answers.flush();
        while (System.in.read() >= 0) {
            // wait for the end
        }
        server.shutdown();
        server.awaitShutdown();
        System.exit(0);
    }

    private static void format(String[] args) throws Exception {
        List<String> options = List.of(args).subList(1, args.length);
        List<String> command = new ArrayList<>(List.of("format", "-c", args[0]));
        command.addAll(options);
        if (!options.contains("-t")) {
            command.addAll(List.of("-t", Uuid.randomUuid().toString()));
        }
        int code = StorageTool.execute(command.toArray(String[]::new), System.err);
        if (code != 0) {
            throw new IllegalStateException("kafka-storage format ended with " + code);
        }
    }
}
