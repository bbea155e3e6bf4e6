{#- What the logit of the risk is linear in, in the order of risk_fits.coefficients: of all n that say the words,
    n_copies carry the image, which has this contrast. Null where none does. -#}
{% macro risk_features(exposures, n_copies, n, contrast) -%}
    if({{ n_copies }} > 0, [
        1.0::double,
        ln({{ exposures }}),
        ln(({{ n_copies }} + 0.5) / ({{ n }} - {{ n_copies }} + 0.5)),
        {{ contrast }}
    ], null)
{%- endmacro %}
