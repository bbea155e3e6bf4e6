{#- The lower (sign '-') or upper (sign '+') end of the Wilson 95 % interval of a share; null of nothing. -#}
{% macro wilson(successes, trials, sign) -%}
    case
        {#- Rounding would leave the end beside the share itself. #}
        when {{ trials }} > 0 and {{ successes }} = {{ '0' if sign == '-' else trials }} then {{ '0.0' if sign == '-' else '1.0' }}
        {#- What is least of null and 1 is 1. #}
        when {{ trials }} > 0 and {{ successes }} is not null then least(1.0, greatest(
            0.0,
            (
                {{ successes }} / {{ trials }} + 1.959964 ^ 2 / (2 * {{ trials }})
                {{ sign }} 1.959964 * sqrt(
                    {{ successes }} / {{ trials }} * (1 - {{ successes }} / {{ trials }}) / {{ trials }}
                    + 1.959964 ^ 2 / (4.0 * {{ trials }} * {{ trials }})
                )
            ) / (1 + 1.959964 ^ 2 / {{ trials }})
        ))
    end
{%- endmacro %}
