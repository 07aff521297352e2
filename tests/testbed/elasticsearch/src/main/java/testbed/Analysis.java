package testbed;

import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.miscellaneous.TruncateTokenFilter;
import org.apache.lucene.analysis.pattern.PatternTokenizer;
import org.elasticsearch.index.analysis.AbstractTokenFilterFactory;
import org.elasticsearch.index.analysis.AbstractTokenizerFactory;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;

import java.util.Map;
import java.util.regex.Pattern;

/**
 * The {@code pattern} tokenizer and the {@code truncate} filter. The work is done by Lucene's own classes, as in the
 * distribution; only the factories, which are in the analysis-common module there, are ours. The pattern separates words;
 * the distribution's {@code flags} and {@code group} are not here.
 */
final class Analysis {
    static Map<String, AnalysisProvider<TokenizerFactory>> tokenizers() {
        return Map.of("pattern", (index, environment, name, settings) -> {
            Pattern separator = Pattern.compile(settings.get("pattern", "\\W+"));
            return new AbstractTokenizerFactory(name) {
                @Override
                public Tokenizer create() {
                    return new PatternTokenizer(separator, -1);
                }
            };
        });
    }

    static Map<String, AnalysisProvider<TokenFilterFactory>> tokenFilters() {
        return Map.of("truncate", (index, environment, name, settings) -> {
            int length = settings.getAsInt("length", 10);
            return new AbstractTokenFilterFactory(name) {
                @Override
                public TokenStream create(TokenStream tokens) {
                    return new TruncateTokenFilter(tokens, length);
                }
            };
        });
    }

    private Analysis() {}
}
