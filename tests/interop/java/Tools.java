import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs one command line tool after another in one JVM, as starting a JVM for each is what such a test spends its time on.
 * A line in, {"main": class, "args": [...], "stdin": text}; a line out, {"code": n, "out": text, "err": text}.
 */
public final class Tools {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Ends the tool where `exit` would end the process. Tools that catch everything go on for a little. */
    private static final class Exited extends Error {
        Exited() {
            super("exit", null, false, false);
        }
    }

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private final List<Runnable> hooks = new ArrayList<>();
    private Map<String, Object> answer;

    public static void main(String[] args) throws Exception {
        PrintStream answers = System.out;
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            answers.println(JSON.writeValueAsString(new Tools().run(JSON.readTree(line))));
            answers.flush();
        }
        System.exit(0);
    }

    private Map<String, Object> run(JsonNode command) throws Exception {
        Exit.setExitProcedure((code, message) -> exit(code));
        Exit.setHaltProcedure((code, message) -> exit(code));
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        PrintStream usualOut = System.out;
        PrintStream usualErr = System.err;
        InputStream usualIn = System.in;
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        System.setIn(new ByteArrayInputStream(command.path("stdin").asText("").getBytes(StandardCharsets.UTF_8)));
        try {
            end(call(command));
        } finally {
            System.setOut(usualOut);
            System.setErr(usualErr);
            System.setIn(usualIn);
        }
        return answer;
    }

    private static int call(JsonNode command) throws ReflectiveOperationException {
        List<String> args = new ArrayList<>();
        command.get("args").forEach(arg -> args.add(arg.asText()));
        Class<?> tool = Class.forName(command.get("main").asText());
        try {
            tool.getMethod("main", String[].class).invoke(null, (Object) args.toArray(String[]::new));
            return 0;
        } catch (InvocationTargetException failed) {
            if (!(failed.getCause() instanceof Exited)) {
                failed.getCause().printStackTrace();
            }
            return 1;
        }
    }

    private void exit(int code) {
        end(code);
        throw new Exited();
    }

    /** As a JVM ends: hooks run, and what was printed until then is the answer. */
    private synchronized void end(int code) {
        if (answer == null) {
            hooks.forEach(Runnable::run);
            System.out.flush();
            answer = Map.of("code", code, "out", out.toString(StandardCharsets.UTF_8), "err", err.toString(StandardCharsets.UTF_8));
        }
    }
}
