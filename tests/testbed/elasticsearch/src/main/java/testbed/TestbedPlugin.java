package testbed;

import org.apache.logging.log4j.LogManager;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.network.NetworkService;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.util.BigArrays;
import org.elasticsearch.common.util.PageCacheRecycler;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.http.HttpPreRequest;
import org.elasticsearch.http.HttpServerTransport;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.index.mapper.Mapper;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.indices.breaker.CircuitBreakerService;
import org.elasticsearch.ingest.DropProcessor;
import org.elasticsearch.ingest.PipelineProcessor;
import org.elasticsearch.ingest.Processor;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.IngestPlugin;
import org.elasticsearch.plugins.MapperPlugin;
import org.elasticsearch.plugins.NetworkPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.telemetry.TelemetryProvider;
import org.elasticsearch.threadpool.ThreadPool;
import org.elasticsearch.transport.Transport;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.XContentBuilder;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.BiConsumer;
import java.util.function.Predicate;
import java.util.function.Supplier;

/** Wires the test bed's own parts into the server through its public plugin interfaces. */
public final class TestbedPlugin extends Plugin implements NetworkPlugin, ActionPlugin, AnalysisPlugin, IngestPlugin,
    MapperPlugin {
    static final String NAME = "testbed";

    private final boolean standIns;
    private volatile ClusterService cluster;

    public TestbedPlugin(Settings settings) {
        standIns = StandIns.ENABLED.get(settings);
        if (standIns) {
            LogManager.getLogger(TestbedPlugin.class).warn("stand-ins are on: {} are the test bed's own or aliases, {} are inert",
                new TreeSet<>(StandIns.mappers().keySet()), StandIns.INERT_SETTINGS.stream().map(Setting::getKey).toList());
        }
    }

    @Override
    public List<Setting<?>> getSettings() {
        List<Setting<?>> all = new ArrayList<>(standIns ? StandIns.INERT_SETTINGS : List.of());
        all.add(StandIns.ENABLED);
        return all;
    }

    @Override
    public Map<String, Mapper.TypeParser> getMappers() {
        return standIns ? StandIns.mappers() : StandIns.needed();
    }

    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
        return Analysis.tokenizers();
    }

    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Analysis.tokenFilters();
    }

    /** The two processors whose code is in the server jar; the ingest-common module would only register them. */
    @Override
    public Map<String, Processor.Factory> getProcessors(Processor.Parameters parameters) {
        return Map.of(DropProcessor.TYPE, new DropProcessor.Factory(),
            PipelineProcessor.TYPE, new PipelineProcessor.Factory(parameters.ingestService));
    }

    @Override
    public Collection<?> createComponents(PluginServices services) {
        cluster = services.clusterService();
        return List.of();
    }

    @Override
    public Map<String, Supplier<Transport>> getTransports(Settings settings, ThreadPool threads, PageCacheRecycler pages,
            CircuitBreakerService breakers, NamedWriteableRegistry writeables, NetworkService network) {
        return Map.of(NAME, () -> new LocalTransport(pages));
    }

    @Override
    public Map<String, Supplier<HttpServerTransport>> getHttpTransports(Settings settings, ThreadPool threads, BigArrays bigArrays,
            PageCacheRecycler pages, CircuitBreakerService breakers, NamedXContentRegistry xcontent, NetworkService network,
            HttpServerTransport.Dispatcher dispatcher, BiConsumer<HttpPreRequest, ThreadContext> perRequest,
            ClusterSettings clusterSettings, TelemetryProvider telemetry) {
        return Map.of(NAME, () -> new HttpLayer(settings, network, pages, threads, xcontent, dispatcher, clusterSettings, telemetry));
    }

    @Override
    public Collection<ActionHandler> getActions() {
        return DataStreams.actions();
    }

    @Override
    public Collection<RestHandler> getRestHandlers(RestHandlersServices services, Supplier<DiscoveryNodes> nodes,
            Predicate<NodeFeature> supports) {
        List<RestHandler> handlers = new ArrayList<>(DataStreams.handlers());
        handlers.add(new Root());
        return handlers;
    }

    /** {@code GET /}: the greeting that the missing rest-root module would give. */
    private final class Root extends BaseRestHandler {
        @Override
        public String getName() {
            return "testbed_root";
        }

        @Override
        public List<Route> routes() {
            return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
        }

        @Override
        protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
            return channel -> {
                Build build = Build.current();
                XContentBuilder json = channel.newBuilder().startObject();
                json.field("name", Node.NODE_NAME_SETTING.get(cluster.getSettings()));
                json.field("cluster_name", cluster.getClusterName().value());
                json.field("cluster_uuid", cluster.state().metadata().clusterUUID());
                json.startObject("version");
                json.field("number", build.qualifiedVersion());
                json.field("build_flavor", build.flavor());
                json.field("build_type", "testbed");
                json.field("build_hash", build.hash());
                json.field("build_date", build.date());
                json.field("build_snapshot", build.isSnapshot());
                json.field("lucene_version", org.apache.lucene.util.Version.LATEST.toString());
                json.field("minimum_wire_compatibility_version", build.minWireCompatVersion());
                json.field("minimum_index_compatibility_version", build.minIndexCompatVersion());
                json.endObject();
                json.field("tagline", "You Know, for Search");
                json.endObject();
                channel.sendResponse(new RestResponse(RestStatus.OK, json));
            };
        }
    }
}
